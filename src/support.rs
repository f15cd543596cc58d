//! A support bundle: files and answers in one archive that may be given away.
//! Every text goes through the removal of secrets; keys are never put in.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::paths;
use crate::secrets::Known;

/// How much of a file's end is kept.
const FILE: u64 = 4 << 20;

/// An archive under way.
pub struct Bundle {
    archive: tar::Builder<GzEncoder<tempfile::NamedTempFile>>,
    /// The folder in the archive that holds all.
    root: String,
    secrets: Known,
    left_out: Vec<String>,
}

impl Bundle {
    /// An archive whose files are below `root`, made beside `target`, readable
    /// by its owner only.
    pub fn new(target: &Path, root: &str, secrets: Known) -> Result<Self> {
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        paths::create_dir(dir)?;
        let file = tempfile::Builder::new()
            .prefix(".support-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(dir)
            .with_context(|| format!("create a file in {}", dir.display()))?;
        let archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        Ok(Self { archive, root: root.into(), secrets, left_out: Vec::new() })
    }

    /// Puts `text` in as `name`, without secrets.
    pub fn add(&mut self, name: &str, text: &str) -> Result<()> {
        let json = name.ends_with(".json") || name.ends_with(".jsonl");
        let text = if json { self.secrets.redact_json(text) } else { self.secrets.redact(text) };
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default());
        header.set_cksum();
        self.archive
            .append_data(&mut header, format!("{}/{name}", self.root), text.as_bytes())
            .with_context(|| format!("pack {name}"))
    }

    /// Puts in what `answer` gave, or why it gave nothing.
    pub fn add_answer(&mut self, name: &str, answer: Result<String>) -> Result<()> {
        match answer {
            Ok(text) => self.add(name, &text),
            Err(error) => self.add(name, &format!("no answer: {error:#}\n")),
        }
    }

    /// Puts a file in as `name`: its end if it is long; what is no text and
    /// what holds keys is left out and named.
    pub fn add_file(&mut self, name: &str, path: &Path) -> Result<()> {
        if is_secret(path) {
            self.left_out.push(format!("{name}: holds keys"));
            return Ok(());
        }
        let (bytes, before) = match paths::read_end(path, FILE) {
            Ok(end) => end,
            // It may go while we look; what cannot be read is told, not fatal.
            Err(error) => {
                self.left_out.push(format!("{name}: {error}"));
                return Ok(());
            }
        };
        if bytes.contains(&0) {
            self.left_out.push(format!("{name}: no text"));
            return Ok(());
        }
        if before == 0 {
            return self.add(name, &String::from_utf8_lossy(&bytes));
        }
        // A secret that was cut in two would not be known by its value.
        let end = String::from_utf8_lossy(after_first_line(&bytes));
        self.add(name, &format!("[the first {before} bytes are left out]\n{end}"))
    }

    /// Puts in every file below `dir` but those that `skip` names.
    pub fn add_tree(&mut self, name: &str, dir: &Path, skip: impl Fn(&Path) -> bool) -> Result<()> {
        let files =
            walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().filter_entry(|entry| !skip(entry.path()));
        for entry in files.flatten().filter(|entry| entry.file_type().is_file()) {
            let below = entry.path().strip_prefix(dir).unwrap_or(entry.path());
            self.add_file(&format!("{name}/{}", below.display()), entry.path())?;
        }
        Ok(())
    }

    /// Ends the archive, puts it in its place and returns its size in bytes.
    pub fn finish(mut self, target: &Path) -> Result<u64> {
        let list = std::mem::take(&mut self.left_out);
        self.add("left-out.txt", &list.iter().map(|line| format!("{line}\n")).collect::<String>())?;
        let encoder = self.archive.into_inner().context("end the archive")?;
        let mut file = encoder.finish().context("end the archive")?;
        file.flush().context("write the archive")?;
        file.persist(target).with_context(|| format!("rename into place {}", target.display()))?;
        Ok(std::fs::metadata(target).with_context(|| format!("look at {}", target.display()))?.len())
    }
}

/// Files that are keys through and through.
fn is_secret(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let key = name.starts_with("id_") && !name.ends_with(".pub");
    let kinds = [".key", ".pem", ".crt", ".p12", ".pfx"];
    key || name.contains("kubeconfig")
        || name.contains("private_key")
        || name == "admin.conf"
        || kinds.iter().any(|kind| name.ends_with(kind))
}

fn after_first_line(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&byte| byte == b'\n').map_or(&[], |at| &bytes[at + 1..])
}

/// The file that a bundle goes to where none is named.
#[must_use]
pub fn default_name(lab: &str) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    PathBuf::from(format!("provision-support-{lab}-{now}.tar.gz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_their_names() {
        for name in ["id_ed25519", "kubeconfig", "x.key", "apiserver.crt", "private_key", ".write-kubeconfig"] {
            assert!(is_secret(&Path::new("/lab").join(name)), "{name}");
        }
        for name in ["id_ed25519.pub", "vagrant.log", "known_hosts", "machine.json"] {
            assert!(!is_secret(&Path::new("/lab").join(name)), "{name}");
        }
    }

    #[test]
    fn a_long_file_is_cut_at_a_line() {
        assert_eq!(after_first_line(b"half\nwhole\n"), b"whole\n");
        assert_eq!(after_first_line(b"half"), b"");
    }
}
