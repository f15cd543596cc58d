//! The command line as users see it: help, errors, plans. One file per topic in
//! `tests/cmd`; nothing there needs root, a network or libvirt.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

/// Runs the cases with PATH and empty folders for state, cache and Vagrant.
fn run(cases: &str, path: &str) {
    let home = tempfile::tempdir().unwrap();
    trycmd::TestCases::new()
        .env("PATH", path)
        .env("PROVISION_STATE", home.path().join("state").to_str().unwrap())
        .env("PROVISION_CACHE", home.path().join("cache").to_str().unwrap())
        .env("VAGRANT_HOME", home.path().join("vagrant").to_str().unwrap())
        .env("COLUMNS", "100")
        .case(cases)
        .run();
}

#[test]
fn command_line() {
    let root = env!("CARGO_MANIFEST_DIR");
    run("tests/cmd/*.md", &format!("{root}/tests/cmd/programs:/usr/bin:/bin"));
}

#[test]
fn a_host_that_lacks_programs() {
    run("tests/cmd/bare/*.md", "/nowhere");
}
