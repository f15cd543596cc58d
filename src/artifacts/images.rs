//! The images of a node, in one archive: the control plane by the names that
//! kubeadm asks for, and the pods of the benchmark.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
use crate::artifacts::go::go_arch;
use crate::artifacts::namespace::Namespace;
use crate::artifacts::oci::{Content, Image, Layer, write_archive};
use crate::artifacts::source::ControlPlane;
use crate::artifacts::{debian_base, programs, release, root};
use crate::profile::compat;
use crate::{arms, process};

/// The artifact's name.
pub const NAME: &str = "images";
/// The archive inside the artifact.
pub const ARCHIVE: &str = "images.tar";
/// Facts of the manifest that begin so hold an image's digest.
pub const DIGEST: &str = "digest of ";
/// Facts of the manifest that begin so hold the bytes of an image's layers.
pub const BYTES: &str = "bytes of ";

/// What kube-proxy calls in nftables mode, with all its libraries.
const PROXY_TOOLS: [&str; 2] = ["/usr/sbin/nft", "/usr/sbin/conntrack"];

/// All images of a node.
pub struct Images {
    /// Kubernetes' version, without `v`.
    kubernetes: String,
    /// etcd, CoreDNS and pause by the names that this version's kubeadm asks for.
    addons: [String; 3],
    /// How the control plane's come about.
    control_plane: ControlPlane,
}

/// A layer to write: where each path's content comes from.
type Paths = BTreeMap<String, Content>;

impl Artifact for Images {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "Write the images".into()
    }

    fn inputs(&self) -> Inputs {
        // The number stands for this file's own way of laying images out.
        let inputs = Inputs::new().with("layout", "3").with("arch", go_arch()).with("names", self.names().join(" "));
        match &self.control_plane {
            ControlPlane::Programs => inputs,
            ControlPlane::Pulled(names) => inputs.with("pulled", names.join(" ")),
        }
    }

    fn needs(&self) -> Vec<&str> {
        let own: &[&str] = &["workload", "loadgen", debian_base::NAME];
        match self.control_plane {
            ControlPlane::Programs => [&["kubernetes", "etcd", "coredns", "pause"], own, &[root::NODE]].concat(),
            ControlPlane::Pulled(_) => [&[release::IMAGES], own].concat(),
        }
    }

    fn obstacles(&self) -> Vec<String> {
        let mut found = Namespace::detect().obstacles();
        found.extend(programs::missing(&["chroot"]));
        found
    }

    fn room(&self) -> Vec<Room> {
        vec![Room::in_cache(600 << 20)]
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        let mut layers = BTreeMap::new();
        for (name, paths) in self.layers(cx)? {
            cx.say(&format!("layer {name}"));
            layers.insert(name, Layer::write(&paths, cx.work().join(name))?);
        }
        let base = cx.need(debian_base::NAME)?.join(debian_base::LAYER);
        layers.insert(debian_base::NAME, Layer::of_archive(base)?);
        let layer = |name: &str| layers.get(name).with_context(|| format!("no layer is named {name}"));
        let mut images = Vec::new();
        for (name, of, entrypoint) in self.images() {
            let layers = of.iter().map(|name| layer(name)).collect::<Result<Vec<_>>>()?;
            let user = if of == ["pause"] { "65535:65535" } else { "" };
            images.push(Image { name, layers, entrypoint: entrypoint.iter().map(|&word| word.into()).collect(), user });
        }
        for image in &images {
            let bytes: u64 = image.layers.iter().map(|layer| layer.size()).sum();
            cx.record(format!("{BYTES}{}", image.name), bytes.to_string());
        }
        cx.say("one archive of them all");
        let pulled = match self.control_plane {
            ControlPlane::Programs => None,
            ControlPlane::Pulled(_) => Some(cx.need(release::IMAGES)?),
        };
        for (name, digest) in write_archive(&images, pulled, go_arch(), &into.join(ARCHIVE))? {
            cx.record(format!("{DIGEST}{name}"), digest);
        }
        Ok(())
    }
}

impl Images {
    /// The images of a node with this Kubernetes, without `v`.
    pub fn of(kubernetes: &str, control_plane: ControlPlane) -> Result<Self> {
        let row = compat::table().kubernetes(kubernetes);
        let row = row.with_context(|| format!("Kubernetes {kubernetes} is not in the table of compatibility"))?;
        let addons = [row.etcd_image(), row.coredns_image(), row.pause_image()];
        Ok(Self { kubernetes: kubernetes.to_owned(), addons, control_plane })
    }

    /// Each image: its name, its layers, its entrypoint.
    fn images(&self) -> Vec<(String, Vec<&'static str>, Vec<&'static str>)> {
        let kube = |name: &str| format!("registry.k8s.io/{name}:v{}", self.kubernetes);
        let own = |name: &str| format!("provision.local/{name}");
        let [etcd, coredns, pause] = self.addons.clone();
        let control_plane = vec![
            (kube("kube-apiserver"), vec!["kubernetes"], vec![]),
            (kube("kube-controller-manager"), vec!["kubernetes"], vec![]),
            (kube("kube-scheduler"), vec!["kubernetes"], vec![]),
            (kube("kube-proxy"), vec!["kubernetes", "proxy-tools"], vec![]),
            (etcd, vec!["etcd"], vec![]),
            (coredns, vec!["coredns"], vec!["/coredns"]),
            (pause, vec!["pause"], vec!["/pause"]),
        ];
        let mut images = if self.control_plane == ControlPlane::Programs { control_plane } else { Vec::new() };
        images.push((own("loadgen:v1"), vec!["loadgen"], vec!["/loadgen"]));
        for arm in arms::all() {
            let content = arm.content();
            let layers = content.base.into_iter().chain([content.file]).collect();
            // Arms that differ in what runs them only share an image.
            if !images.iter().any(|(name, ..)| *name == arm.image()) {
                images.push((arm.image(), layers, vec![content.path]));
            }
        }
        images
    }

    fn names(&self) -> Vec<String> {
        self.images().into_iter().map(|(name, ..)| name).collect()
    }

    fn layers(&self, cx: &Making) -> Result<BTreeMap<&'static str, Paths>> {
        let one = |artifact: &str, file: &str, path: &str| -> Result<Paths> {
            Ok(Paths::from([(path.to_owned(), Content::File(cx.need(artifact)?.join(file)))]))
        };
        let mut layers = BTreeMap::from([("loadgen", one("loadgen", "loadgen", "loadgen")?)]);
        if self.control_plane == ControlPlane::Programs {
            let mut kubernetes = one("kubernetes", "kubernetes", "usr/local/bin/kubernetes")?;
            for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"] {
                kubernetes.insert(format!("usr/local/bin/{name}"), Content::Link("kubernetes".into()));
            }
            layers.extend([
                ("kubernetes", kubernetes),
                ("proxy-tools", proxy_tools(&cx.need(root::NODE)?.join(root::TREE))?),
                ("etcd", one("etcd", "etcd", "usr/local/bin/etcd")?),
                ("coredns", one("coredns", "coredns", "coredns")?),
                ("pause", one("pause", "pause", "pause")?),
            ]);
        }
        for content in arms::all().map(|arm| arm.content()) {
            layers.insert(content.file, one("workload", content.file, content.path.trim_start_matches('/'))?);
        }
        Ok(layers)
    }
}

/// The programs that kube-proxy calls, with their libraries at the paths where
/// the dynamic linker of `tree` finds them.
fn proxy_tools(tree: &Path) -> Result<Paths> {
    let chroot = process::find("chroot").context("find chroot")?;
    let asked = Namespace::detect().command().arg(chroot).arg(tree).arg("ldd").args(PROXY_TOOLS);
    let printed = asked.read()?;
    let tree = tree.canonicalize().with_context(|| format!("find {}", tree.display()))?;
    let mut paths = Paths::new();
    for path in libraries(&printed).into_iter().chain(PROXY_TOOLS) {
        let file: PathBuf = tree.join(path.trim_start_matches('/'));
        let file = file.canonicalize().with_context(|| format!("find {}", file.display()))?;
        ensure!(file.starts_with(&tree), "{path} leads out of {} to {}", tree.display(), file.display());
        paths.insert(path.trim_start_matches('/').to_owned(), Content::File(file));
    }
    Ok(paths)
}

/// The paths in ldd's output: after `=>`, or alone for the linker itself.
fn libraries(printed: &str) -> Vec<&str> {
    let lines = printed.lines().filter(|line| line.starts_with(char::is_whitespace));
    lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let printed = "/usr/sbin/nft:\n\tlinux-vdso.so.1 (0x00007f)\n\tlibnftables.so.1 => /lib/x86_64-linux-gnu/libnftables.so.1 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(libraries(printed), ["/lib/x86_64-linux-gnu/libnftables.so.1", "/lib64/ld-linux-x86-64.so.2"]);
    }

    #[test]
    fn images_bear_the_names_that_kubeadm_asks_for_and_each_arm_has_one() {
        let names = Images::of("1.37.2", ControlPlane::Programs).unwrap().names();
        assert_eq!(names[0], "registry.k8s.io/kube-apiserver:v1.37.2");
        assert!(arms::all().iter().all(|arm| names.contains(&arm.image())), "{names:?}");
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
