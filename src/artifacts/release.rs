//! The official releases: files and images that the projects themselves
//! publish, by pinned digest. A node looks as with a build: the same programs
//! at the same paths, images of the same names.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
use crate::artifacts::download::{Downloads, Wanted};
use crate::artifacts::pins::{Project, Release};
use crate::artifacts::registry;
use crate::artifacts::source::{ControlPlane, Source};
use crate::http::{Client, Patience};
use crate::outside::Outside;
use crate::process::Cmd;
use crate::profile::types::Mirrors;

/// The artifact that holds the images.
pub const IMAGES: &str = "release-images";
/// What a node needs of containerd's archive.
const CONTAINERD: [&str; 3] = ["containerd", "containerd-shim-runc-v2", "ctr"];

/// Takes every component from its project's own release.
#[derive(Clone)]
pub struct Official {
    /// What the release consists of.
    pub release: Release,
    /// Who has it.
    pub mirrors: Mirrors,
    /// How they are reached.
    pub outside: Outside,
    /// Where unfinished downloads wait.
    pub downloads: PathBuf,
}

impl Source for Official {
    fn artifacts(&self) -> Result<Vec<Box<dyn Artifact>>> {
        let part = |part| Box::new(Part { from: self.clone(), part }) as Box<dyn Artifact>;
        Ok(vec![part(Kind::Programs), part(Kind::Containerd), part(Kind::Images)])
    }

    fn control_plane(&self) -> ControlPlane {
        ControlPlane::Pulled(self.release.images.iter().map(|image| image.name.clone()).collect())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Programs,
    Containerd,
    Images,
}

/// One artifact of a release.
struct Part {
    from: Official,
    part: Kind,
}

impl Artifact for Part {
    fn name(&self) -> &str {
        match self.part {
            Kind::Programs => "kubernetes",
            Kind::Containerd => "containerd",
            Kind::Images => IMAGES,
        }
    }

    fn title(&self) -> String {
        let release = &self.from.release;
        match self.part {
            Kind::Programs => format!("Download Kubernetes {}", release.kubernetes),
            Kind::Containerd => format!("Download containerd {}", release.containerd),
            Kind::Images => format!("Pull the images of Kubernetes {}", release.kubernetes),
        }
    }

    fn inputs(&self) -> Inputs {
        // The number stands for this file's way of laying things out. Where they
        // come from is none: the digests decide.
        let mut inputs = Inputs::new().with("layout", "1").with("arch", &self.from.release.arch);
        for file in self.files() {
            inputs = inputs.with(&file.path, &file.sha256);
        }
        if self.part == Kind::Images {
            for image in &self.from.release.images {
                inputs = inputs.with(&image.name, &image.digest);
            }
        }
        inputs
    }

    fn room(&self) -> Vec<Room> {
        vec![Room::in_cache(if self.part == Kind::Images { 800 << 20 } else { 400 << 20 })]
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        let client = Client::new(&self.from.outside, Patience::default())?;
        let downloads = Downloads::new(&client, self.from.downloads.clone());
        let say = |text: &str| cx.say(text);
        match self.part {
            Kind::Programs => {
                downloads.fetch(&self.wanted(into), &say)?;
                for file in self.files() {
                    executable(&into.join(file_name(&file.path)))?;
                }
                proved(into, "kubelet", &self.from.release.kubernetes)
            }
            Kind::Containerd => {
                downloads.fetch(&self.wanted(cx.work()), &say)?;
                for file in self.files() {
                    unpack(&cx.work().join(file_name(&file.path)), into)?;
                }
                proved(into, "containerd", &self.from.release.containerd)
            }
            Kind::Images => {
                let (images, arch) = (&self.from.release.images, &self.from.release.arch);
                registry::pull(&downloads, &self.from.mirrors.images, images, arch, into, &say)
            }
        }
    }
}

impl Part {
    fn files(&self) -> impl Iterator<Item = &crate::artifacts::pins::PinnedFile> {
        let of = match self.part {
            Kind::Programs => Some(Project::Kubernetes),
            Kind::Containerd => Some(Project::Containerd),
            Kind::Images => None,
        };
        self.from.release.files.iter().filter(move |file| Some(file.of) == of)
    }

    fn wanted(&self, dir: &Path) -> Vec<Wanted> {
        let wanted = self.files().map(|file| Wanted {
            url: file.of.url(&self.from.mirrors, &file.path),
            sha256: file.sha256.clone(),
            accept: "*/*",
            to: dir.join(file_name(&file.path)),
        });
        wanted.collect()
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn executable(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("make {} executable", path.display()))
}

/// Takes the programs of a node out of containerd's archive.
fn unpack(archive: &Path, into: &Path) -> Result<()> {
    let file = File::open(archive).with_context(|| format!("open {}", archive.display()))?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let reading = || format!("read {}", archive.display());
    for entry in tar.entries().with_context(reading)? {
        let mut entry = entry.with_context(reading)?;
        let path = entry.path().with_context(reading)?.into_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.parent() == Some(Path::new("bin")) && CONTAINERD.contains(&name.as_str()) {
            entry.unpack(into.join(&name)).with_context(|| format!("unpack {name} from {}", archive.display()))?;
            executable(&into.join(&name))?;
        }
    }
    for name in CONTAINERD {
        ensure!(into.join(name).is_file(), "{} holds no bin/{name}", archive.display());
    }
    Ok(())
}

/// The program starts on this host and says the version it was taken for.
fn proved(into: &Path, program: &str, version: &str) -> Result<()> {
    let printed = Cmd::new(into.join(program)).arg("--version").read()?;
    ensure!(
        printed.contains(&format!("v{version}")),
        "{program} --version says {printed:?}, which does not name v{version}"
    );
    Ok(())
}
