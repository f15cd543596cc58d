//! Whether this host runs machines with KVM or has to emulate them.
//!
//! `/dev/kvm` may exist and open where no guest boots with it, so the CPU's own
//! flags are asked as well.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Result, bail};

use crate::paths;
use crate::profile::Acceleration;

/// What `/dev/kvm` is to this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// It opens for reading and writing.
    Opens,
    /// It exists but not for this user; libvirt opens it as a user of its own.
    Denied,
    /// There is none.
    Missing,
    /// It does not open, for this reason.
    Fails(String),
}

/// What the host says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The CPU's flag for virtualisation: `vmx` (Intel), `svm` (AMD) or none.
    pub flag: Option<&'static str>,
    /// The device of KVM.
    pub device: Device,
}

/// How machines run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Emulated by QEMU instead of run by KVM.
    pub emulated: bool,
    /// The reason in one sentence, beginning with `KVM` or `emulated`.
    pub reason: String,
}

/// Asks this host.
pub fn probe() -> Result<Probe> {
    let cpuinfo = paths::read(Path::new("/proc/cpuinfo"))?;
    let device = match File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => Device::Opens,
        Err(error) if error.kind() == ErrorKind::NotFound => Device::Missing,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Device::Denied,
        Err(error) => Device::Fails(error.to_string()),
    };
    Ok(Probe { flag: virtualisation_flag(&cpuinfo), device })
}

/// The flag for virtualisation that `/proc/cpuinfo` shows.
#[must_use]
pub fn virtualisation_flag(cpuinfo: &str) -> Option<&'static str> {
    flags(cpuinfo).find_map(|flag| match flag {
        "vmx" => Some("vmx"),
        "svm" => Some("svm"),
        _ => None,
    })
}

/// Whether `/proc/cpuinfo` shows a CPU that a hypervisor gives to this host.
#[must_use]
pub fn is_virtual(cpuinfo: &str) -> bool {
    flags(cpuinfo).any(|flag| flag == "hypervisor")
}

fn flags(cpuinfo: &str) -> impl Iterator<Item = &str> {
    cpuinfo.lines().filter_map(|line| line.strip_prefix("flags")).flat_map(str::split_whitespace)
}

/// How machines run on a host that answered `probe`, if the profile wants it
/// so; an error if the profile insists on KVM in vain.
pub fn decide(wanted: Acceleration, probe: &Probe) -> Result<Verdict> {
    if wanted == Acceleration::Emulated {
        return Ok(Verdict { emulated: true, reason: "emulated: the profile asks for it".into() });
    }
    let device = match &probe.device {
        Device::Opens => "/dev/kvm opens".to_owned(),
        Device::Denied => "/dev/kvm is there".to_owned(),
        Device::Missing => "there is no /dev/kvm".to_owned(),
        Device::Fails(why) => format!("/dev/kvm does not open ({why})"),
    };
    let usable = matches!(probe.device, Device::Opens | Device::Denied);
    let why = match probe.flag {
        Some(flag) if usable => {
            return Ok(Verdict { emulated: false, reason: format!("KVM: the CPU offers {flag} and {device}") });
        }
        Some(flag) => format!("the CPU offers {flag}, but {device}"),
        None if usable => format!("the CPU offers no vmx or svm flag, although {device}"),
        None => format!("the CPU offers no vmx or svm flag and {device}"),
    };
    if wanted == Acceleration::Kvm {
        let mend = match probe.flag {
            Some("vmx") => "load the module with: sudo modprobe kvm_intel",
            Some(_) => "load the module with: sudo modprobe kvm_amd",
            None => {
                "turn on virtualisation in the firmware (or nested virtualisation, if this host is itself a machine)"
            }
        };
        bail!("machine.acceleration is kvm, but {why}; {mend}; or set machine.acceleration = \"auto\"");
    }
    Ok(Verdict { emulated: true, reason: format!("emulated: {why}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(flag: Option<&'static str>, device: Device) -> Verdict {
        decide(Acceleration::Auto, &Probe { flag, device }).unwrap()
    }

    #[test]
    fn kvm_takes_both_the_flag_and_the_device() {
        let verdict = auto(Some("vmx"), Device::Opens);
        assert_eq!(verdict, Verdict { emulated: false, reason: "KVM: the CPU offers vmx and /dev/kvm opens".into() });
        assert!(!auto(Some("svm"), Device::Denied).emulated);
        assert_eq!(
            auto(None, Device::Opens).reason,
            "emulated: the CPU offers no vmx or svm flag, although /dev/kvm opens"
        );
        assert_eq!(auto(Some("svm"), Device::Missing).reason, "emulated: the CPU offers svm, but there is no /dev/kvm");
        assert_eq!(
            auto(None, Device::Missing).reason,
            "emulated: the CPU offers no vmx or svm flag and there is no /dev/kvm"
        );
        assert!(auto(Some("vmx"), Device::Fails("No such device".into())).emulated);
    }

    #[test]
    fn the_profile_may_insist() {
        let good = Probe { flag: Some("svm"), device: Device::Opens };
        assert!(decide(Acceleration::Emulated, &good).unwrap().emulated);
        assert!(!decide(Acceleration::Kvm, &good).unwrap().emulated);
        let error = decide(Acceleration::Kvm, &Probe { flag: Some("svm"), device: Device::Missing }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "machine.acceleration is kvm, but the CPU offers svm, but there is no /dev/kvm; load the module with: sudo \
             modprobe kvm_amd; or set machine.acceleration = \"auto\""
        );
    }

    #[test]
    fn the_flag_is_a_word_of_the_flags_line() {
        assert_eq!(virtualisation_flag("model name : svm box\nflags\t\t: fpu vme svm_lock\n"), None);
        assert_eq!(virtualisation_flag("flags\t\t: fpu svm lm\n\nflags\t\t: fpu svm lm\n"), Some("svm"));
        assert_eq!(virtualisation_flag("vmx flags\t: vnmi\nflags\t\t: fpu vmx\n"), Some("vmx"));
        assert!(is_virtual("flags\t: fpu hypervisor lm\n") && !is_virtual("model name : hypervisor\nflags\t: fpu\n"));
        assert_eq!(virtualisation_flag("bugs\t\t: vmscape\nflags : lm\n"), None);
    }
}
