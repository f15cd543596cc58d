//! The Vagrantfile at the top of the repository is the rendered default
//! profile: whoever reads it reads what `provision up` uses.

use std::path::Path;

use provision::process::Cmd;

#[test]
fn the_vagrantfile_at_the_top_is_the_rendered_default_profile() {
    let out = tempfile::tempdir().unwrap();
    let render = Cmd::new(env!("CARGO_BIN_EXE_provision")).args(["render", "--output"]).arg(out.path());
    // Nothing of the user's own may show in it.
    let plain = ["PROVISION_PROFILE", "PROVIDER", "CPUS", "MEMORY"].into_iter().fold(render, Cmd::env_remove);
    plain.env("PROVISION_STATE", out.path()).read().unwrap();
    let rendered = std::fs::read_to_string(out.path().join("Vagrantfile")).unwrap();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("Vagrantfile");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&stored, &rendered).unwrap();
    }
    let stored = std::fs::read_to_string(stored).unwrap_or_default();
    assert!(stored == rendered, "Vagrantfile is out of date; run: UPDATE=1 cargo test --test rendered");
}
