//! Where the program keeps things on the host, and file-system helpers that
//! put the path into every error.
//!
//! - cache (`$PROVISION_CACHE`, else `$XDG_CACHE_HOME/provision`): artifacts,
//!   each made once; deleting it costs time, nothing else.
//! - state (`$PROVISION_STATE`, else `$XDG_STATE_HOME/provision`): one folder a
//!   lab: keys, kubeconfig, logs, results.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use etcetera::BaseStrategy;

/// The cache of artifacts.
pub fn cache_dir() -> Result<PathBuf> {
    from_env_or("PROVISION_CACHE", |base| base.cache_dir())
}

/// The folder that holds one folder per lab.
pub fn state_dir() -> Result<PathBuf> {
    from_env_or("PROVISION_STATE", |base| base.state_dir().unwrap_or_else(|| base.data_dir()))
}

fn from_env_or(name: &str, pick: impl Fn(&etcetera::base_strategy::Xdg) -> PathBuf) -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os(name).filter(|dir| !dir.is_empty()) {
        return std::path::absolute(&dir).with_context(|| format!("make {name}={} absolute", dir.display()));
    }
    let base = etcetera::base_strategy::Xdg::new().context("find the home folder (is HOME set?)")?;
    Ok(pick(&base).join("provision"))
}

/// A path that may begin with `~/`, the user's home.
#[must_use]
pub fn expand_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.into(),
    }
}

/// Reads a whole small text file.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// Creates a folder and its parents.
pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("create folder {}", path.display()))
}

/// The last `most` bytes of a file, and how many come before them.
pub fn read_end(path: &Path, most: u64) -> std::io::Result<(Vec<u8>, u64)> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = fs::File::open(path)?;
    let before = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(before))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok((bytes, before))
}

/// Creates a folder that its owner alone may enter, or makes it so.
pub fn create_private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).with_context(|| format!("close {}", path.display()))
}

/// Makes a file its owner's alone (0600).
pub fn only_owner(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).with_context(|| format!("close {}", path.display()))
}

/// Opens a file of lines to append to, made with the permission bits `mode` if it
/// is not there. A last line that a kill or a full disk has cut is ended, so that
/// it does not swallow the next one.
pub fn open_lines(path: &Path, mode: u32) -> Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    create_dir(path.parent().unwrap_or(Path::new(".")))?;
    let mut file = fs::File::options()
        .create(true)
        .read(true)
        .append(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("open {}", path.display()))?;
    end_line(&mut file).with_context(|| format!("end the last line of {}", path.display()))?;
    Ok(file)
}

fn end_line(file: &mut fs::File) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom, Write};
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

/// Writes `content` beside `path` and renames it into place, so that a reader
/// sees the old file or the new one, never half of it. `mode` is the file's
/// permission bits, set before any content is written.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    let dir = path.parent().unwrap_or(Path::new("."));
    create_dir(dir)?;
    let mut file = tempfile::Builder::new()
        .prefix(".write-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)
        .with_context(|| format!("create a file beside {}", path.display()))?;
    file.write_all(content).with_context(|| format!("write {}", path.display()))?;
    file.persist(path).with_context(|| format!("rename into place {}", path.display()))?;
    Ok(())
}

/// The folders in `dir`, sorted; none if there is no such folder.
pub fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error).with_context(|| format!("list {}", dir.display())),
        Ok(entries) => {
            for entry in entries {
                let path = entry.with_context(|| format!("list {}", dir.display()))?.path();
                if path.is_dir() && !path.is_symlink() {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a folder with all in it; a folder that is not there is fine.
pub fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("remove folder {}", path.display())),
    }
}

/// Removes a file; a file that is not there is fine.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("remove {}", path.display())),
    }
}
