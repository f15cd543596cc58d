//! This host: what it can do, what it lacks, and how to mend that.

pub mod acceleration;
pub mod addresses;
mod apt;
pub mod as_root;
pub mod daemons;
pub mod installer;
pub mod known_good;
pub mod kvm_device;
pub mod os;
pub mod packages;
pub mod preflight;
pub mod vagrant_plugins;

/// Whether this process is root's.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// This host's CPU, as /proc/cpuinfo names it.
pub fn cpu_model() -> anyhow::Result<String> {
    let text = crate::paths::read(std::path::Path::new("/proc/cpuinfo"))?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, model)| model));
    Ok(model.unwrap_or("unknown").to_owned())
}

/// Whether systemd manages this host's services.
#[must_use]
pub fn has_systemd() -> bool {
    // The documented test, see sd_booted(3).
    std::path::Path::new("/run/systemd/system").is_dir()
}
