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

#[test]
fn a_box_that_others_made_boots_and_is_logged_in_to_its_own_way() {
    let out = tempfile::tempdir().unwrap();
    let profile = out.path().join("lab.toml");
    let machine = format!("[machine]\nbox_version = \"13.1\"\nbox_sha256 = \"{}\"\n", "0".repeat(64));
    std::fs::write(&profile, format!("provider = \"libvirt\"\nbox = \"debian/trixie64\"\n{machine}")).unwrap();
    let render = Cmd::new(env!("CARGO_BIN_EXE_provision")).args(["render", "--output"]).arg(out.path());
    let render = render.arg("--profile").arg(&profile).env("PROVISION_STATE", out.path());
    ["PROVIDER", "CPUS", "MEMORY"].into_iter().fold(render, Cmd::env_remove).read().unwrap();
    let rendered = std::fs::read_to_string(out.path().join("Vagrantfile")).unwrap();
    assert!(rendered.contains("config.ssh.username = 'vagrant'"), "{rendered}");
    for ours in ["private_key_path", "insert_key", "libvirt.kernel", "cmd_line", "by_vagrant"] {
        assert!(!rendered.contains(ours), "{ours}: {rendered}");
    }
    let env = std::fs::read_to_string(out.path().join("node/node1/node.env")).unwrap();
    assert!(env.contains("\nOWN=1\n") && env.contains("\nPLAIN=1\n"), "{env}");
}
