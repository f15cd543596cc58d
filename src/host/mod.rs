//! This host: what it can do, what it lacks, and how to mend that.

pub mod acceleration;
pub mod addresses;
mod apt;
pub mod daemons;
pub mod packages;
pub mod preflight;

/// Whether this process is root's.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Whether systemd manages this host's services.
#[must_use]
pub fn has_systemd() -> bool {
    // The documented test, see sd_booted(3).
    std::path::Path::new("/run/systemd/system").is_dir()
}
