//! Installing packages by apt: the exact commands first, then running them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::host;
use crate::process::{self, Cmd};

/// Debian's package of Go, the one whose version matters.
pub const GO: &str = "golang-go";
/// How long an installation may take; a slow mirror has time.
const LIMIT: Duration = Duration::from_secs(3600);

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
    pub fn of_host(oldest_go: (u32, u32)) -> Result<Self> {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename = codename(&release).unwrap_or_default().to_owned();
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

fn codename(os_release: &str) -> Option<&str> {
    Some(os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?.trim_matches('"'))
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

/// One command of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    words: Vec<String>,
    stdin: Option<String>,
    root: bool,
}

impl Step {
    fn new(root: bool, words: &[&str]) -> Self {
        Self { words: words.iter().map(|&word| word.to_owned()).collect(), stdin: None, root }
    }

    /// The command as the user would type it.
    #[must_use]
    pub fn line(&self) -> String {
        let sudo = if self.root { "" } else { "sudo " };
        let line = format!("{sudo}{}", shell_words::join(&self.words));
        match &self.stdin {
            Some(text) => format!("echo {} | {line}", shell_words::quote(text.trim_end())),
            None => line,
        }
    }
}

/// The commands that install `packages` on a host of these `facts`. A release
/// whose Go is older than `oldest_go` takes it from its backports.
#[must_use]
pub fn plan(packages: &[&str], facts: &Facts, oldest_go: (u32, u32)) -> Vec<Step> {
    let step = |words: &[&str]| Step::new(facts.root, words);
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
        let mut add = step(&["tee", &format!("/etc/apt/sources.list.d/{backports}.list")]);
        add.stdin = Some(format!("deb {mirror} {backports} main\n"));
        steps.push(add);
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

/// Makes sure that the commands may be run as root; sudo asks for its password
/// here, on the terminal, and [`run`] goes without.
pub fn authorise(steps: &[Step]) -> Result<()> {
    if steps.iter().all(|step| step.root) {
        return Ok(());
    }
    let as_root =
        || steps.iter().map(|step| format!("\n  {}", Step { root: true, ..step.clone() }.line())).collect::<String>();
    if process::find("sudo").is_none() {
        bail!("this user may not install packages and there is no sudo; as root, type:{}", as_root());
    }
    if Cmd::new("sudo").arg("--validate").interactive()? != 0 {
        bail!("sudo was refused; as root, type:{}", as_root());
    }
    Ok(())
}

/// Runs the commands one after the other, their output going to `log` and
/// line by line to `on_line`.
pub fn run(steps: &[Step], log: &Path, mut on_line: impl FnMut(&str)) -> Result<()> {
    for step in steps {
        let mut command = if step.root {
            Cmd::new(&step.words[0]).args(&step.words[1..])
        } else {
            Cmd::new("sudo").arg("--non-interactive").args(&step.words)
        };
        if let Some(text) = &step.stdin {
            command = command.stdin(text.clone());
        }
        command.timeout(LIMIT).run_logged(log, &mut on_line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLDEST: (u32, u32) = (1, 21);

    fn lines(packages: &[&str], facts: &Facts) -> Vec<String> {
        plan(packages, facts, OLDEST).iter().map(Step::line).collect()
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

    #[test]
    fn the_release_is_read_from_its_file() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=trixie\n"), Some("trixie"));
        assert_eq!(codename("ID=arch\n"), None);
    }
}
