//! What finished artifacts consist of, read from themselves: Debian packages
//! with versions, Go modules and crates with digests, programs and images.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::artifacts::engine::Entry;
use crate::artifacts::manifest::Product;
use crate::artifacts::{debian_base, node_box, payload, release, root};
use crate::process::Cmd;

/// Name to version or digest.
pub type Names = BTreeMap<String, String>;

/// Programs built by Go: artifact and the files that hold their modules.
const GO: [(&str, &[&str]); 4] = [
    ("kubernetes", &["kubernetes"]),
    ("etcd", &["etcd"]),
    ("coredns", &["coredns"]),
    ("containerd", &["containerd", "containerd-shim-runc-v2", "ctr"]),
];
/// Programs of our own, with the lock of their crates.
const RUST: [(&str, &str); 3] = [
    ("workload", include_str!("../../workload/Cargo.lock")),
    ("loadgen", include_str!("../../loadgen/Cargo.lock")),
    ("pause", ""),
];

/// All of it; each part by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Compilers.
    pub tools: Names,
    /// Image name to manifest digest.
    pub images: Names,
    /// By artifact: file to `sha256:…`.
    pub programs: BTreeMap<String, Names>,
    /// By root tree: Debian package to version.
    pub packages: BTreeMap<String, Names>,
    /// By artifact: module to `version h1:…`.
    pub modules: BTreeMap<String, Names>,
    /// By artifact: crate and version to `sha256:…`.
    pub crates: BTreeMap<String, Names>,
    /// The box, or what machines of their own system get instead: file to `sha256:…`.
    pub node_box: Names,
}

impl Contents {
    /// Reads them from finished artifacts; one that is not there is an error.
    /// `form` is the name of the box among them.
    pub fn of(entries: &BTreeMap<String, Entry>, form: &str) -> Result<Self> {
        let entry = |name: &str| {
            entries.get(name).with_context(|| {
                format!("artifact {name} is not in the cache, so what it holds cannot be read\n  make it again: provision clean --all && provision up")
            })
        };
        let mut contents = Self::default();
        // A release is known by its pinned digests; nothing was built of it here.
        let released = entries.contains_key(release::IMAGES);
        for name in ["kubernetes", "containerd"].into_iter().filter(|_| released) {
            contents.programs.insert(name.into(), digests(entry(name)?));
        }
        for (name, files) in GO.into_iter().filter(|_| !released) {
            let entry = entry(name)?;
            let mut modules = Names::new();
            for file in files {
                let printed = Cmd::new("go").args(["version", "-m"]).arg(entry.dir.join(file)).read()?;
                let (tool, found) = build_info(&printed);
                contents.tools.insert(format!("go for {name}"), tool.to_owned());
                modules.extend(found);
            }
            contents.modules.insert(name.into(), modules);
            contents.programs.insert(name.into(), digests(entry));
        }
        for (name, lock) in RUST.into_iter().filter(|(name, _)| !released || *name != "pause") {
            contents.programs.insert(name.into(), digests(entry(name)?));
            let crates = crates(lock).with_context(|| format!("read the Cargo.lock of {name}"))?;
            if !crates.is_empty() {
                contents.crates.insert(name.into(), crates);
            }
        }
        // Machines with a system of their own have its packages, but for these.
        let node = if form == payload::NAME { root::RUNTIME } else { root::NODE };
        let bootable = entries.contains_key(root::BOOTABLE).then_some(root::BOOTABLE);
        for name in [root::BUILDER, node].into_iter().chain(bootable) {
            let status = entry(name)?.dir.join(root::TREE).join(STATUS);
            contents.packages.insert(name.into(), packages(&crate::paths::read(&status)?));
        }
        let base = status_in_archive(&entry(debian_base::NAME)?.dir.join(debian_base::LAYER))?;
        contents.packages.insert(debian_base::NAME.into(), packages(&base));
        if let Some(builder) = contents.packages.get(root::BUILDER) {
            for tool in ["rustc", "cargo", "gcc", "wasmedge"] {
                if let Some(version) = builder.get(tool) {
                    contents.tools.insert(tool.into(), version.clone());
                }
            }
        }
        let node = entry(form)?;
        contents.images = node_box::digests_in(&node.manifest);
        contents.node_box = digests(node);
        Ok(contents)
    }
}

/// Where dpkg keeps what is installed.
const STATUS: &str = "var/lib/dpkg/status";

fn digests(entry: &Entry) -> Names {
    let one = |product: &Product| match product {
        Product::File { path, sha256, .. } => Some((path.clone(), format!("sha256:{sha256}"))),
        Product::Link { .. } | Product::Tree { .. } => None,
    };
    entry.manifest.products.iter().filter_map(one).collect()
}

/// Go's version and the modules in the output of `go version -m`; see the
/// documentation of `debug/buildinfo`. A replacement stands for its module.
fn build_info(printed: &str) -> (&str, Names) {
    let tool = printed.lines().next().and_then(|line| line.rsplit_once(": ")).map_or("", |(_, tool)| tool.trim());
    let mut modules = Names::new();
    let mut last: Option<String> = None;
    for line in printed.lines() {
        let words: Vec<&str> = line.split('\t').map(str::trim).filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["dep", path, version, ref rest @ ..] => {
                let sum = rest.first().copied().unwrap_or_default();
                modules.insert(path.to_owned(), format!("{version} {sum}").trim().to_owned());
                last = Some(path.to_owned());
            }
            ["=>", path, version, ref rest @ ..] => {
                let sum = rest.first().copied().unwrap_or_default();
                if let Some(replaced) = &last {
                    modules.insert(replaced.clone(), format!("{path} {version} {sum}").trim().to_owned());
                }
            }
            _ => {}
        }
    }
    (tool, modules)
}

#[derive(Deserialize)]
struct CargoLock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    /// Absent for the crate itself.
    checksum: Option<String>,
}

fn crates(lock: &str) -> Result<Names> {
    let lock: CargoLock = toml::from_str(lock)?;
    let one =
        |locked: Locked| Some((format!("{} {}", locked.name, locked.version), format!("sha256:{}", locked.checksum?)));
    Ok(lock.package.into_iter().filter_map(one).collect())
}

/// Installed packages with their versions, from dpkg's list.
fn packages(status: &str) -> Names {
    let one = |paragraph: &str| {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name));
        field("Status: ")?.ends_with(" installed").then_some(())?;
        Some((field("Package: ")?.to_owned(), field("Version: ")?.to_owned()))
    };
    status.split("\n\n").filter_map(one).collect()
}

fn status_in_archive(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut archive = tar::Archive::new(std::io::BufReader::new(file));
    for entry in archive.entries_with_seek().with_context(|| format!("read {}", path.display()))? {
        let mut entry = entry.with_context(|| format!("read {}", path.display()))?;
        if entry.path().is_ok_and(|found| found.strip_prefix("./").unwrap_or(&found) == Path::new(STATUS)) {
            let mut text = String::new();
            entry.read_to_string(&mut text).with_context(|| format!("read {STATUS} in {}", path.display()))?;
            return Ok(text);
        }
    }
    anyhow::bail!("{} holds no {STATUS}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_from_what_go_prints() {
        let printed = "/c/coredns: go1.26.8\n\tpath\tx\n\tmod\tx\t(devel)\t\n\tdep\ta.b/c\tv1.2.3\th1:x=\n\
            \tdep\td.e/f\tv0.1.0\n\t=>\tg.h/i\tv0.2.0\th1:y=\n\tbuild\t-trimpath=true\n";
        let (tool, modules) = build_info(printed);
        assert_eq!(tool, "go1.26.8");
        let wanted = [("a.b/c", "v1.2.3 h1:x="), ("d.e/f", "g.h/i v0.2.0 h1:y=")];
        assert_eq!(modules, wanted.map(|(name, version)| (name.to_owned(), version.to_owned())).into());
    }

    #[test]
    fn only_what_is_installed_counts() {
        let status = "Package: a\nStatus: install ok installed\nVersion: 1:2-3\n\n\
            Package: b\nStatus: deinstall ok config-files\nVersion: 1\n";
        assert_eq!(packages(status), [("a".to_owned(), "1:2-3".to_owned())].into());
        assert_eq!(packages(""), Names::new());
    }

    #[test]
    fn crates_have_a_checksum() {
        let found = crates(RUST[1].1).unwrap();
        assert!(found.len() > 5 && found.values().all(|sum| sum.len() == 71), "{found:?}");
    }
}
