//! Installing packages by apt: the exact commands.

use anyhow::Result;

use super::as_root::AsRoot;
use super::os::Os;
use crate::host;
use crate::process::Cmd;

/// Debian's package of Go, the one whose version matters.
pub const GO: &str = "golang-go";

/// What the plan of an installation depends on.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// We are root and need no sudo.
    pub root: bool,
    /// Debian's name of the release, such as `bookworm`.
    pub codename: String,
    /// The suite that offers a Go that is new enough, if apt knows one.
    pub go_suite: Option<String>,
    /// The mirror that this host's apt uses for the release, if apt knows it.
    pub mirror: Option<String>,
    /// QEMU's tools come from backports, so its other packages must as well.
    pub qemu_backported: bool,
}

impl Facts {
    /// The facts of this host; `oldest_go` is the oldest Go that will do.
    pub fn of_host(os: &Os, oldest_go: (u32, u32)) -> Result<Self> {
        let codename = os.codename.clone();
        let offers = Cmd::new("apt-cache").args(["madison", GO]).output()?.stdout;
        // Without release information the answer needs no lists to be there.
        let targets = Cmd::new("apt-get")
            .args(["indextargets", "--no-release-info", "--format", "$(REPO_URI)", "Created-By: Packages"])
            .arg(format!("Release: {codename}"));
        let mirror = targets.output()?.stdout.lines().next().map(|uri| uri.trim_end_matches('/').to_owned());
        let versions =
            Cmd::new("dpkg-query").args(["--show", "--showformat", "${Version}\n", "qemu-utils"]).output()?;
        Ok(Self {
            root: host::is_root(),
            codename,
            go_suite: go_suite(&offers, oldest_go),
            mirror,
            qemu_backported: versions.stdout.contains("~bpo"),
        })
    }
}

/// The suite of the first offer of Go, as `apt-cache madison` lists them, that
/// is at least `oldest`.
fn go_suite(offers: &str, oldest: (u32, u32)) -> Option<String> {
    offers.lines().find_map(|line| {
        let mut columns = line.split('|').map(str::trim);
        let (version, source) = (columns.nth(1)?, columns.next()?);
        let version = version.split_once(':').map_or(version, |(_, version)| version);
        let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let suite = source.split(' ').nth(1)?.split('/').next()?;
        (version >= oldest).then(|| suite.to_owned())
    })
}

/// Whether apt knows a package of this name.
pub fn offers(package: &str) -> Result<bool> {
    Ok(!Cmd::new("apt-cache").args(["madison", package]).output()?.stdout.trim().is_empty())
}

/// The commands that install `packages` on a host of these `facts`. A release
/// whose Go is older than `oldest_go` takes it from its backports.
#[must_use]
pub fn plan(packages: &[&str], facts: &Facts, oldest_go: (u32, u32)) -> Vec<AsRoot> {
    let step = |words: &[&str]| AsRoot::new(facts.root, words);
    let backports = format!("{}-backports", facts.codename);
    let (go, others): (Vec<&str>, Vec<&str>) = packages.iter().copied().partition(|&package| package == GO);
    // Without an offer apt's lists are empty or the release is old; bookworm's
    // own Go is 1.19.
    let from_backports = match &facts.go_suite {
        Some(suite) => *suite == backports,
        None => facts.codename == "bookworm" && oldest_go > (1, 19) && facts.mirror.is_some(),
    };
    let mut steps = Vec::new();
    if let (false, true, None, Some(mirror)) = (go.is_empty(), from_backports, &facts.go_suite, &facts.mirror) {
        let add = step(&["tee", &format!("/etc/apt/sources.list.d/{backports}.list")]);
        steps.push(add.with_stdin(format!("deb {mirror} {backports} main\n")));
    }
    steps.push(step(&["apt-get", "update"]));
    let install = |suite: Option<&str>, packages: &[&str]| {
        let mut words = vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes"];
        words.push("--no-install-recommends");
        words.extend(suite.iter().flat_map(|suite| ["--target-release", suite]));
        words.extend(packages);
        step(&words)
    };
    if !others.is_empty() {
        steps.push(install(facts.qemu_backported.then_some(backports.as_str()), &others));
    }
    if !go.is_empty() {
        steps.push(install(from_backports.then_some(backports.as_str()), &go));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLDEST: (u32, u32) = (1, 21);

    fn lines(packages: &[&str], facts: &Facts) -> Vec<String> {
        plan(packages, facts, OLDEST).iter().map(AsRoot::line).collect()
    }

    #[test]
    fn a_release_with_a_new_go_takes_all_from_itself() {
        let facts = Facts { codename: "trixie".into(), go_suite: Some("trixie".into()), ..Facts::default() };
        insta::assert_snapshot!(lines(&["vagrant", GO], &facts).join("\n"), @r"
        sudo apt-get update
        sudo env 'DEBIAN_FRONTEND=noninteractive' apt-get install --yes --no-install-recommends vagrant
        sudo env 'DEBIAN_FRONTEND=noninteractive' apt-get install --yes --no-install-recommends golang-go
        ");
    }

    #[test]
    fn bookworm_takes_go_from_backports_and_adds_them_if_need_be() {
        let mut facts = Facts {
            root: true,
            codename: "bookworm".into(),
            mirror: Some("http://mirror.example/debian".into()),
            ..Facts::default()
        };
        insta::assert_snapshot!(lines(&["qemu-utils", GO], &facts).join("\n"), @r"
        echo 'deb http://mirror.example/debian bookworm-backports main' | tee /etc/apt/sources.list.d/bookworm-backports.list
        apt-get update
        env 'DEBIAN_FRONTEND=noninteractive' apt-get install --yes --no-install-recommends qemu-utils
        env 'DEBIAN_FRONTEND=noninteractive' apt-get install --yes --no-install-recommends --target-release bookworm-backports golang-go
        ");
        facts.go_suite = Some("bookworm-backports".into());
        facts.qemu_backported = true;
        insta::assert_snapshot!(lines(&["qemu-system-x86", GO], &facts).join("\n"), @r"
        apt-get update
        env 'DEBIAN_FRONTEND=noninteractive' apt-get install --yes --no-install-recommends --target-release bookworm-backports qemu-system-x86
        env 'DEBIAN_FRONTEND=noninteractive' apt-get install --yes --no-install-recommends --target-release bookworm-backports golang-go
        ");
    }

    #[test]
    fn nothing_is_added_to_apt_unless_go_is_wanted() {
        let facts = Facts { root: true, codename: "bookworm".into(), ..Facts::default() };
        assert_eq!(lines(&["vagrant"], &facts).len(), 2);
    }

    #[test]
    fn the_suite_with_a_new_enough_go_is_found() {
        let offers = " golang-go |    2:1.19~1 | http://mirror.example/debian bookworm/main amd64 Packages\n\
                      \x20golang-go | 2:1.23~2~bpo12+1 | http://mirror.example/debian bookworm-backports/main amd64 Packages\n";
        assert_eq!(go_suite(offers, OLDEST).as_deref(), Some("bookworm-backports"));
        assert_eq!(go_suite(offers, (1, 19)).as_deref(), Some("bookworm"));
        assert_eq!(go_suite(offers, (1, 24)), None);
        assert_eq!(go_suite("N: Unable to locate package golang-go\n", OLDEST), None);
    }
}
