//! Programs of this host that making an artifact takes.

use crate::process;

/// A sentence for each of `programs` that is not on this host.
#[must_use]
pub fn missing(programs: &[&str]) -> Vec<String> {
    let missing = programs.iter().filter(|program| process::find(program).is_none());
    missing.map(|program| format!("{program} is not installed: type sudo apt install {}", package(program))).collect()
}

/// The Debian package that holds `program`.
fn package(program: &str) -> &str {
    match program {
        "go" => "golang",
        "mke2fs" => "e2fsprogs",
        "newuidmap" | "newgidmap" => "uidmap",
        "qemu-img" => "qemu-utils",
        "unshare" => "util-linux",
        other => other,
    }
}
