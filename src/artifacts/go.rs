//! Programs built by Go from a pinned module, with the user's own Go caches.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::artifacts::artifact::{Artifact, Inputs, Lane, Making, Room};
use crate::artifacts::programs;
use crate::process::{self, Cmd};

/// The oldest Go that fetches a newer one by itself.
const OLDEST: Version = (1, 21, 0);

type Version = (u32, u32, u32);

/// The Go that builds a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// The version that will compile ("go1.26.8"); empty without Go.
    pub version: String,
    /// What GOTOOLCHAIN is set to for that.
    choice: String,
    /// Where Go keeps modules and what it compiled.
    caches: Vec<PathBuf>,
    /// Why it cannot build, if so.
    obstacle: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct GoEnv {
    goversion: String,
    goenv: String,
    gocache: PathBuf,
    gomodcache: PathBuf,
}

/// The Go on PATH, before any module was looked at.
#[derive(Debug, Clone)]
pub struct Go {
    /// `None` without Go.
    env: Option<GoEnv>,
    /// What the user set GOTOOLCHAIN to.
    chosen: Option<String>,
}

impl Go {
    /// Asks the Go on PATH about itself.
    pub fn detect() -> Result<Self> {
        if process::find("go").is_none() {
            return Ok(Self { env: None, chosen: None });
        }
        let asked = Cmd::new("go")
            .args(["env", "-json", "GOVERSION", "GOENV", "GOCACHE", "GOMODCACHE"])
            .env("GOTOOLCHAIN", "local");
        let env: GoEnv = serde_json::from_str(&asked.read()?).context("parse the output of `go env -json`")?;
        let file = fs::read_to_string(&env.goenv).unwrap_or_default();
        let chosen = std::env::var("GOTOOLCHAIN").ok().filter(|choice| !choice.is_empty());
        let chosen =
            chosen.or_else(|| file.lines().find_map(|line| line.strip_prefix("GOTOOLCHAIN=").map(str::to_owned)));
        Ok(Self { env: Some(env), chosen })
    }
}

impl Toolchain {
    /// The Go that builds a module: the one on PATH, or the one that it fetches
    /// if `go_mod` asks for a newer.
    #[must_use]
    pub fn of(go: &Go, go_mod: &str) -> Self {
        let Some(env) = &go.env else {
            return Self { obstacle: programs::missing(&["go"]).pop(), ..Self::default() };
        };
        let mut toolchain = Self::choose(&env.goversion, go.chosen.as_deref(), go_mod);
        toolchain.caches = vec![env.gocache.clone(), env.gomodcache.clone()];
        toolchain
    }

    /// The rules of GOTOOLCHAIN, with `auto` where the user chose nothing
    /// (distributions of Go differ in their default).
    fn choose(local: &str, chosen: Option<&str>, go_mod: &str) -> Self {
        let choice = chosen.unwrap_or("auto");
        let needed = needed(go_mod);
        let (base, fetches) = match choice.split_once('+') {
            Some((base, _)) => (base, true),
            None if choice == "auto" || choice == "path" => ("local", true),
            None => (choice, false),
        };
        let base = if base == "local" { local } else { base };
        let have = parse(base);
        let version = if fetches && have < needed { name(needed) } else { base.to_owned() };
        let obstacle = if parse(local) < OLDEST {
            Some(format!(
                "{local} on PATH is too old: install Go 1.21 or newer, which fetches the one it needs by itself (on Debian 12: sudo apt install -t bookworm-backports golang-go)"
            ))
        } else if parse(&version) < needed {
            let needed = name(needed);
            Some(format!(
                "GOTOOLCHAIN={choice} keeps Go at {version}, and the modules need {needed}: unset it, or install {needed}"
            ))
        } else {
            None
        };
        Self { version, choice: choice.to_owned(), caches: Vec::new(), obstacle }
    }
}

/// The highest of the lines `go` and `toolchain`.
fn needed(go_mod: &str) -> Version {
    let lines = go_mod.lines().filter_map(|line| line.strip_prefix("go ").or_else(|| line.strip_prefix("toolchain ")));
    lines.map(parse).max().unwrap_or_default()
}

/// `go1.26.8`, `1.26.0` or `go1.27rc1` as numbers.
fn parse(text: &str) -> Version {
    let from = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let mut numbers = text[from..].split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or("").split('.');
    let mut next = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    (next(), next(), next())
}

fn name((major, minor, patch): Version) -> String {
    format!("go{major}.{minor}.{patch}")
}

/// Programs to build from one module.
pub struct GoBuild {
    /// The artifact's name.
    pub name: &'static str,
    /// Its title.
    pub title: String,
    /// The module by file name: go.mod, go.sum and, for a command of our own,
    /// main.go.
    pub module: BTreeMap<String, &'static [u8]>,
    /// What to build.
    pub packages: Vec<&'static str>,
    /// The name of the one program; several keep their packages' names.
    pub output: Option<&'static str>,
    /// Links to the one program.
    pub links: &'static [&'static str],
    /// Build tags.
    pub tags: &'static str,
    /// Linker flags.
    pub ldflags: String,
    /// Who builds.
    pub toolchain: Toolchain,
    /// A command among the products and a word that it must print.
    pub proof: (&'static [&'static str], String),
    /// Bytes of the products.
    pub room: u64,
    /// Bytes by which Go's caches grow when they are empty.
    pub go_room: u64,
}

impl Artifact for GoBuild {
    fn name(&self) -> &str {
        self.name
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::new()
            .with("go", &self.toolchain.version)
            .with("arch", go_arch())
            .with("packages", self.packages.join(" "))
            .with("links", self.links.join(" "))
            .with("tags", self.tags)
            .with("ldflags", &self.ldflags);
        for (name, bytes) in &self.module {
            inputs = inputs.file(name, bytes);
        }
        inputs
    }

    fn obstacles(&self) -> Vec<String> {
        self.toolchain.obstacle.iter().cloned().collect()
    }

    fn room(&self) -> Vec<Room> {
        let mut rooms = vec![Room::in_cache(self.room)];
        // Modules that are there have been compiled once: only what changed is new.
        let known = self.toolchain.caches.iter().any(|dir| dir.join("cache/download").join(self.key_module()).exists());
        if !known {
            let share = self.go_room / self.toolchain.caches.len().max(1) as u64;
            rooms.extend(self.toolchain.caches.iter().map(|dir| Room { dir: Some(dir.clone()), bytes: share }));
        }
        rooms
    }

    fn lane(&self) -> Lane {
        Lane::Cores
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        for (name, bytes) in &self.module {
            crate::paths::write_atomic(&cx.work().join(name), bytes, 0o644)?;
        }
        let output = self.output.map_or_else(|| into.to_owned(), |name| into.join(name));
        let mut build = Cmd::new("go")
            .args(["build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false"])
            .args(["-ldflags", &self.ldflags]);
        if !self.tags.is_empty() {
            build = build.args(["-tags", self.tags]);
        }
        // The folder's final slash tells Go that several programs go into it.
        let mut out = output.into_os_string();
        if self.output.is_none() {
            out.push("/");
        }
        let build = build.arg("-o").arg(out).args(&self.packages).dir(cx.work());
        cx.run(&self.environment(build))?;
        for link in self.links {
            let target = self.output.unwrap_or_default();
            std::os::unix::fs::symlink(target, into.join(link)).with_context(|| format!("link {link} to {target}"))?;
        }
        self.prove(into)
    }
}

impl GoBuild {
    /// The user's settings for proxies and caches stay; those that would
    /// change the result do not.
    fn environment(&self, command: Cmd) -> Cmd {
        command
            .env("CGO_ENABLED", "0")
            .env("GOOS", "linux")
            .env("GOARCH", go_arch())
            .env("GOWORK", "off")
            .env("GOFLAGS", "")
            .env("GOEXPERIMENT", "")
            .env("GOTOOLCHAIN", &self.toolchain.choice)
    }

    fn prove(&self, into: &Path) -> Result<()> {
        let (command, word) = &self.proof;
        let Some((program, args)) = command.split_first() else { return Ok(()) };
        let printed = Cmd::new(into.join(program)).args(args).read()?;
        ensure!(printed.contains(word.as_str()), "{} says {printed:?}, which does not name {word}", command.join(" "));
        Ok(())
    }

    /// The folder of the module cache that is there once this was built.
    fn key_module(&self) -> &'static str {
        match self.name {
            "kubernetes" => "k8s.io/kubernetes",
            "containerd" => "github.com/containerd/containerd/v2",
            "etcd" => "go.etcd.io/etcd/server/v3",
            _ => "github.com/coredns/coredns",
        }
    }
}

/// This machine's architecture in Go's and OCI's words.
#[must_use]
pub fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOD: &str = "module x\n\ngo 1.26.6\n";

    #[test]
    fn go_fetches_what_the_module_needs_unless_the_user_forbids_it() {
        let used = |local, chosen| Toolchain::choose(local, chosen, MOD).version;
        assert_eq!(used("go1.26.8", None), "go1.26.8");
        assert_eq!(used("go1.24.4", None), "go1.26.6");
        assert_eq!(used("go1.24.4", Some("go1.27.1")), "go1.27.1");
        assert_eq!(used("go1.24.4", Some("go1.25.0+auto")), "go1.26.6");
        let forbidden = Toolchain::choose("go1.24.4", Some("local"), MOD).obstacle.unwrap();
        assert!(forbidden.contains("GOTOOLCHAIN=local keeps Go at go1.24.4") && forbidden.contains("need go1.26.6"));
        assert_eq!(Toolchain::choose("go1.24.4", Some("auto"), MOD).obstacle, None);
    }

    #[test]
    fn a_go_that_cannot_fetch_another_is_too_old() {
        let old = Toolchain::choose("go1.19.8", None, MOD).obstacle.unwrap();
        assert!(old.starts_with("go1.19.8 on PATH is too old"), "{old}");
    }

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse("go1.27rc1"), (1, 27, 0));
        assert!(parse("go1.9.7") < parse("1.10"));
    }
}
