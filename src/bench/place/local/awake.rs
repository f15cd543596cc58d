//! Keeps idle CPUs from sleeping while a benchmark runs.
//!
//! A CPU that sleeps wakes up late, and a virtual one has to be given back by
//! the hypervisor first: in an open loop, where both CPUs wait most of the time,
//! that is half of what is measured. As long as the file is open with a 0 in it,
//! the kernel lets CPUs wait without sleeping (its
//! `Documentation/power/pm_qos_interface.rst`); it ends with the process,
//! however that ends.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

const DEVICE: &str = "/dev/cpu_dma_latency";

/// For the environment of a result.
pub const POLLING: &str = "polling (cpu_dma_latency 0)";

/// CPUs stay awake as long as this lives.
#[derive(Debug)]
pub struct Awake(Option<File>);

impl Awake {
    /// From now on; where the kernel has no such file, CPUs sleep as ever.
    #[must_use]
    pub fn hold() -> Self {
        Self(hold(Path::new(DEVICE)))
    }

    /// What idle CPUs do; empty where they sleep as the machine has them.
    #[must_use]
    pub fn idle(&self) -> &'static str {
        if self.0.is_some() { POLLING } else { "" }
    }
}

fn hold(device: &Path) -> Option<File> {
    let mut file = OpenOptions::new().write(true).open(device).ok()?;
    // Microseconds, as a 32-bit number.
    file.write_all(&0_i32.to_ne_bytes()).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bytes_of_zero_are_held_and_a_missing_device_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let device = dir.path().join("cpu_dma_latency");
        assert!(hold(&device).is_none());
        assert_eq!(Awake(None).idle(), "");
        std::fs::write(&device, "").unwrap();
        let awake = Awake(hold(&device));
        assert_eq!((awake.idle(), std::fs::read(&device).unwrap()), (POLLING, vec![0; 4]));
    }
}
