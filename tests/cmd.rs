//! The command line as users see it: help, errors, plans. One file per case in
//! `tests/cmd`; none needs root, a network or libvirt.

#[test]
fn command_line() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let programs = root.join("tests/cmd/programs");
    trycmd::TestCases::new()
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env("PROVISION_STATE", "state")
        .env("PROVISION_CACHE", "cache")
        .case("tests/cmd/*.toml")
        .case("tests/cmd/*.md");
}
