//! Where Kubernetes' components come from: a trait, since built from pinned
//! modules is only one of the ways.

use std::path::Path;

use anyhow::{Context, Result, bail};
use include_dir::{Dir, include_dir};

use crate::artifacts::artifact::Artifact;
use crate::artifacts::go::{Go, GoBuild, Toolchain};
use crate::profile::compat;

/// The pinned Go modules; inside the program, so that it works anywhere.
static MODULES: Dir = include_dir!("$CARGO_MANIFEST_DIR/modules");

/// A way to get what a cluster is made of. Its artifacts hold, executable on a
/// node:
/// - `kubernetes`: kubeadm, kubelet and kubectl, files or links beside their target
/// - `containerd`: containerd, containerd-shim-runc-v2, ctr
///
/// and what [`ControlPlane`] says.
pub trait Source {
    /// The artifacts.
    fn artifacts(&self) -> Result<Vec<Box<dyn Artifact>>>;

    /// How the control plane's images come about.
    fn control_plane(&self) -> ControlPlane;
}

/// How the control plane's images come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlPlane {
    /// From programs: `kubernetes` in the artifact of that name (every component
    /// by argv\[0\]), `etcd` in `etcd`, `coredns` in `coredns`, and a pause of our own.
    Programs,
    /// They were pulled, by these names, into [`release::IMAGES`](super::release::IMAGES).
    Pulled(Vec<String>),
}

/// Builds every component from its pinned Go module.
pub struct Build {
    /// The Kubernetes version wanted, without `v`.
    pub kubernetes: String,
}

impl Source for Build {
    fn artifacts(&self) -> Result<Vec<Box<dyn Artifact>>> {
        let go = Go::detect()?;
        let version = format!("v{}", self.kubernetes);
        let mut line = self.kubernetes.split('.').take(2).collect::<Vec<_>>().join(".");
        line.insert_str(0, "kubernetes/");
        if pinned(&line, "k8s.io/kubernetes").ok().as_ref() != Some(&version) {
            let pinned: Vec<String> = compat::table().kubernetes.iter().map(|row| row.version.to_string()).collect();
            bail!(
                "Kubernetes {} cannot be built: the pinned modules are those of {}; set kubernetes.version to one of them",
                self.kubernetes,
                pinned.join(", ")
            );
        }
        let containerd = pinned_version("containerd", "github.com/containerd/containerd/v2")?;
        let etcd = pinned_version("etcd", "go.etcd.io/etcd/server/v3")?;
        let coredns = pinned_version("coredns", "github.com/coredns/coredns")?;
        let kubernetes = GoBuild {
            name: "kubernetes",
            title: format!("Build Kubernetes {}", self.kubernetes),
            packages: vec!["."],
            output: Some("kubernetes"),
            links: &["kubeadm", "kubelet", "kubectl"],
            tags: "",
            ldflags: kubernetes_ldflags(&version),
            proof: (&["kubelet", "--version"], version),
            room: 200 << 20,
            go_room: 4500 << 20,
            ..common(&line, &go)?
        };
        let containerd = GoBuild {
            name: "containerd",
            title: format!("Build containerd {containerd}"),
            packages: vec![
                "github.com/containerd/containerd/v2/cmd/containerd",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/ctr",
            ],
            tags: "no_btrfs no_zfs no_devmapper no_aufs",
            ldflags: format!("-s -w -X github.com/containerd/containerd/v2/version.Version=v{containerd}"),
            proof: (&["containerd", "--version"], format!("v{containerd}")),
            ..common("containerd", &go)?
        };
        let etcd = GoBuild {
            name: "etcd",
            title: format!("Build etcd {etcd}"),
            packages: vec!["go.etcd.io/etcd/server/v3"],
            output: Some("etcd"),
            proof: (&["etcd", "--version"], etcd),
            ..common("etcd", &go)?
        };
        let coredns = GoBuild {
            name: "coredns",
            title: format!("Build CoreDNS {coredns}"),
            packages: vec!["."],
            output: Some("coredns"),
            proof: (&["coredns", "-version"], coredns),
            ..common("coredns", &go)?
        };
        Ok(vec![Box::new(kubernetes), Box::new(containerd), Box::new(etcd), Box::new(coredns)])
    }

    fn control_plane(&self) -> ControlPlane {
        ControlPlane::Programs
    }
}

/// What the builds have in common. `module` is a folder below `modules`; a
/// main.go beside it serves all versions.
fn common(module: &str, go: &Go) -> Result<GoBuild> {
    let dir = MODULES.get_dir(module).with_context(|| format!("the program holds no module {module}"))?;
    let above = Path::new(module).parent().and_then(|above| MODULES.get_file(above.join("main.go")));
    let files = dir.files().chain(above);
    let name = |file: &include_dir::File| file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(GoBuild {
        name: "",
        title: String::new(),
        module: files.map(|file| (name(file), file.contents())).collect(),
        packages: Vec::new(),
        output: None,
        links: &[],
        tags: "",
        ldflags: "-s -w".into(),
        toolchain: Toolchain::of(go, go_mod(module)?),
        proof: (&[], String::new()),
        room: 100 << 20,
        go_room: 1200 << 20,
    })
}

/// The version flags of Kubernetes' own release builds.
fn kubernetes_ldflags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mut flags = String::from("-s -w ");
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        let values = [("Version", version), ("Major", major), ("Minor", minor), ("TreeState", "clean")];
        for (name, value) in values {
            flags += &format!(" -X {package}.git{name}={value}");
        }
    }
    flags
}

fn go_mod(module: &str) -> Result<&'static str> {
    MODULES
        .get_file(format!("{module}/go.mod"))
        .and_then(include_dir::File::contents_utf8)
        .with_context(|| format!("the program holds no modules/{module}/go.mod"))
}

/// The version that modules/`module`/go.mod requires of `path`, with its `v`.
fn pinned(module: &str, path: &str) -> Result<String> {
    let line = go_mod(module)?.lines().find_map(|line| line.trim().strip_prefix(path)?.strip_prefix(' '));
    let version = line.and_then(|rest| rest.split_whitespace().next());
    Ok(version.with_context(|| format!("modules/{module}/go.mod does not require {path}"))?.to_owned())
}

fn pinned_version(module: &str, path: &str) -> Result<String> {
    Ok(pinned(module, path)?.trim_start_matches('v').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_modules_give_all_four_components() {
        for row in &compat::table().kubernetes {
            let all = Build { kubernetes: row.version.to_string() }.artifacts().unwrap();
            let names: Vec<&str> = all.iter().map(|artifact| artifact.name()).collect();
            assert_eq!(names, ["kubernetes", "containerd", "etcd", "coredns"]);
            let inputs = all[0].inputs();
            let labels: Vec<&str> = inputs.pairs().iter().map(|(label, _)| label.as_str()).collect();
            assert!(
                ["go", "ldflags", "go.mod", "go.sum", "main.go"].iter().all(|label| labels.contains(label)),
                "{labels:?}"
            );
        }
    }

    #[test]
    fn the_table_names_the_containerd_that_is_built() {
        let built = pinned_version("containerd", "github.com/containerd/containerd/v2").unwrap();
        assert_eq!(compat::table().own_containerd().unwrap().to_string(), built);
    }

    #[test]
    fn another_version_than_the_pinned_one_is_refused_with_the_pinned_one() {
        let error = Build { kubernetes: "1.30.0".into() }.artifacts().err().unwrap().to_string();
        assert!(
            error.contains("1.30.0 cannot be built") && error.contains("those of 1.37.2, 1.36.3, 1.35.4, 1.34.4"),
            "{error}"
        );
    }

    #[test]
    fn kubernetes_gets_the_flags_of_its_own_releases() {
        let flags = kubernetes_ldflags("v1.37.2");
        assert!(flags.starts_with("-s -w  -X k8s.io/component-base/version.gitVersion=v1.37.2 "), "{flags}");
        assert!(flags.ends_with(
            "-X k8s.io/client-go/pkg/version.gitMinor=37 -X k8s.io/client-go/pkg/version.gitTreeState=clean"
        ));
    }
}
