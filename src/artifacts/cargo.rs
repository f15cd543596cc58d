//! Programs of our own, compiled by Debian 13's rustc in the builder root, so
//! that every host gets the same ones: the workload, the load generator, pause.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};

use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
use crate::artifacts::namespace::Namespace;
use crate::artifacts::root;
use crate::{outside, paths};

const IN_ROOT: &str = include_str!("scripts/in_root.sh");
const BUILD_WORKLOAD: &str = include_str!("scripts/build_workload.sh");
const BUILD_STATIC: &str = include_str!("scripts/build_static.sh");
const BUILD_PAUSE: &str = include_str!("scripts/build_pause.sh");

static WORKLOAD: Dir = include_dir!("$CARGO_MANIFEST_DIR/workload/src");
static LOADGEN: Dir = include_dir!("$CARGO_MANIFEST_DIR/loadgen/src");

/// A file of a program's sources: its path in their folder, its bytes.
type Source = (String, &'static [u8]);

/// A program compiled in the builder root.
pub struct CargoBuild {
    name: &'static str,
    title: &'static str,
    /// Embedded file by file: whatever was compiled beside them stays out.
    sources: Vec<Source>,
    script: &'static str,
}

/// The server under test as `workload` (native, static), `workload-dynamic`
/// (native, against glibc), `workload.wasm` (interpreted) and `workload-aot.wasm` (compiled ahead of time).
#[must_use]
pub fn workload() -> CargoBuild {
    let manifest = include_bytes!("../../workload/Cargo.toml");
    let lock = include_bytes!("../../workload/Cargo.lock");
    CargoBuild {
        name: "workload",
        title: "Compile the workload, native and WebAssembly",
        sources: a_crate(manifest, lock, &WORKLOAD),
        script: BUILD_WORKLOAD,
    }
}

/// The load generator, static.
#[must_use]
pub fn loadgen() -> CargoBuild {
    let manifest = include_bytes!("../../loadgen/Cargo.toml");
    let lock = include_bytes!("../../loadgen/Cargo.lock");
    CargoBuild {
        name: "loadgen",
        title: "Compile the load generator",
        sources: a_crate(manifest, lock, &LOADGEN),
        script: BUILD_STATIC,
    }
}

/// The process that holds a pod's namespaces, static.
#[must_use]
pub fn pause() -> CargoBuild {
    CargoBuild {
        name: "pause",
        title: "Compile pause",
        sources: vec![("pause.rs".to_owned(), include_bytes!("../../pause/pause.rs"))],
        script: BUILD_PAUSE,
    }
}

fn a_crate(manifest: &'static [u8], lock: &'static [u8], src: &'static Dir) -> Vec<Source> {
    let mut sources = vec![("Cargo.toml".to_owned(), manifest), ("Cargo.lock".to_owned(), lock)];
    add_files(src, &mut sources);
    sources
}

/// Adds all files of `dir`, at any depth.
fn add_files(dir: &'static Dir, to: &mut Vec<Source>) {
    to.extend(dir.files().map(|file| (format!("src/{}", file.path().display()), file.contents())));
    for below in dir.dirs() {
        add_files(below, to);
    }
}

impl Artifact for CargoBuild {
    fn name(&self) -> &str {
        self.name
    }

    fn title(&self) -> String {
        self.title.into()
    }

    fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::new()
            .with("triple", triple())
            .file("recipe", self.script.as_bytes())
            .file("environment", IN_ROOT.as_bytes());
        for (path, bytes) in &self.sources {
            inputs = inputs.file(path, bytes);
        }
        inputs
    }

    fn needs(&self) -> Vec<&str> {
        vec![root::BUILDER]
    }

    fn obstacles(&self) -> Vec<String> {
        Namespace::detect().obstacles()
    }

    fn room(&self) -> Vec<Room> {
        vec![Room::in_cache(300 << 20)]
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        for (path, bytes) in &self.sources {
            paths::write_atomic(&cx.work().join(self.name).join(path), bytes, 0o644)?;
        }
        network_settings(cx.work(), cx.outside().bundle())?;
        let build = cx.script("build.sh", self.script)?;
        let script = cx.script("in_root.sh", IN_ROOT)?;
        let tree = cx.need(root::BUILDER)?.join(root::TREE);
        let inside = Path::new("/mnt").join(build.file_name().unwrap_or_default());
        let enter = Namespace::detect().command().arg("bash").arg(script).arg(tree).arg(cx.work());
        cx.run(&enter.arg("bash").arg(inside).args([triple(), self.name.to_owned()]))?;
        for entry in fs::read_dir(cx.work().join("made")).context("list what was compiled")? {
            let entry = entry.context("list what was compiled")?;
            let to = into.join(entry.file_name());
            fs::rename(entry.path(), &to).with_context(|| format!("move {}", to.display()))?;
        }
        Ok(())
    }
}

/// This machine's target, as rustc names it.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// What the builder root needs of the host to reach crates: the authorities,
/// and from cargo's configuration what concerns registries and the network.
fn network_settings(work: &Path, authorities: Option<&Path>) -> Result<()> {
    let cargos = std::env::var_os("CARGO_HTTP_CAINFO").map(PathBuf::from);
    let bundle = authorities.map(Path::to_owned).into_iter().chain(cargos).find(|path| path.is_file());
    let bundle = bundle.or_else(outside::trusted_authorities);
    if let Some(bundle) = bundle {
        fs::copy(&bundle, work.join("ca.crt")).with_context(|| format!("copy {}", bundle.display()))?;
    }
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let config = home.into_iter().flat_map(|home| [home.join("config.toml"), home.join("config")]);
    if let Some(config) = config.into_iter().find(|path| path.is_file()) {
        let kept = registry_tables(&paths::read(&config)?)
            .with_context(|| format!("read the registries of {}", config.display()))?;
        paths::write_atomic(&work.join("cargo-home/config.toml"), kept.as_bytes(), 0o600)?;
    }
    Ok(())
}

/// Of a cargo configuration the tables about registries and the network:
/// linkers and wrappers of the host do not exist in the builder root.
fn registry_tables(config: &str) -> Result<String> {
    let mut table: toml::Table = config.parse()?;
    table.retain(|name, _| ["source", "registry", "registries", "http", "net"].contains(&name));
    Ok(toml::to_string(&table)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sources_decide_and_nothing_that_was_compiled() {
        for (build, file) in [(workload(), "src/net/wasm.rs"), (loadgen(), "src/main.rs"), (pause(), "pause.rs")] {
            let inputs = build.inputs();
            let labels: Vec<&str> = inputs.pairs().iter().map(|(label, _)| label.as_str()).collect();
            assert!(labels.contains(&file), "{labels:?}");
            assert!(!labels.iter().any(|label| label.starts_with("target")), "{labels:?}");
        }
    }

    #[test]
    fn a_mirror_of_the_host_reaches_the_builder_and_its_linker_does_not() {
        let config = "[build]\nrustc-wrapper = \"sccache\"\n[target.x86_64-unknown-linux-gnu]\nlinker = \"clang\"\n\
                      [source.crates-io]\nreplace-with = \"mirror\"\n[source.mirror]\nregistry = \"sparse+https://crates.example/\"\n";
        let kept = registry_tables(config).unwrap();
        assert!(kept.contains("sparse+https://crates.example/") && kept.contains("replace-with"), "{kept}");
        assert!(!kept.contains("sccache") && !kept.contains("clang"), "{kept}");
    }
}
