//! What the CPU and KVM do for machines, and who else holds them.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Asked, Finding, Host, Remedy, Topic};
use crate::host::acceleration::{self, Device, Probe};
use crate::host::as_root::{self, AsRoot};
use crate::host::{is_root, kvm_device};
use crate::paths;
use crate::process::{self, Cmd};
use crate::profile::{Acceleration, Provider};

/// Virtualisation by the CPU.
pub struct Processor;

/// How long QEMU may take to make an empty machine with KVM.
const TRIAL: Duration = Duration::from_secs(20);

impl Topic for Processor {
    fn title(&self, _: &Asked) -> String {
        "processor".into()
    }

    fn look(&self, asked: &Asked, host: &Host) -> Result<Vec<Finding>> {
        let probe = &host.acceleration;
        let cpuinfo = paths::read(Path::new("/proc/cpuinfo"))?;
        let nested = acceleration::is_virtual(&cpuinfo);
        let mut found = vec![verdict(asked, probe, nested)];
        if probe.flag.is_some() && probe.device == Device::Missing {
            let module = if probe.flag == Some("vmx") { "kvm_intel" } else { "kvm_amd" };
            let commands = vec![AsRoot::new(is_root(), &["modprobe", module])];
            let finding = Finding::note("the kernel's KVM is not loaded").next(as_root::line(&commands));
            let wanted = asked.profile.provider == Provider::Libvirt;
            found.push(if wanted { finding.remedy(Remedy::Run(commands)) } else { finding });
        }
        let give = kvm_device::how_to_give()?;
        if asked.profile.provider == Provider::Libvirt && !give.is_empty() {
            let text = "/dev/kvm is closed to its group: libvirt asks QEMU anew at each definition of a machine, \
                        half a minute";
            found.push(Finding::note(text).next(as_root::line(&give)).remedy(Remedy::Run(give)));
        }
        if nested {
            found.push(Finding::note("this host is itself a virtual machine: its machines are nested ones"));
        }
        if let (Device::Opens, Some(qemu)) = (&probe.device, process::find("qemu-system-x86_64")) {
            found.extend(trial(&qemu, holders(), probe.flag.is_some())?);
        }
        Ok(found)
    }
}

/// Whether machines will be fast, by the rule that `up` follows.
fn verdict(asked: &Asked, probe: &Probe, nested: bool) -> Finding {
    let firmware = if nested {
        "turn on nested virtualisation where this host's own machine is defined"
    } else {
        "turn on virtualisation (VT-x, AMD-V, SVM) in the firmware"
    };
    if asked.profile.provider == Provider::Virtualbox {
        return match probe.flag {
            Some(flag) => Finding::ok(format!("the CPU offers {flag}")),
            None => {
                Finding::problem("the CPU offers no vmx or svm flag, without which VirtualBox runs no 64-bit machine")
                    .next(format!("{firmware}; or use libvirt, which emulates: --provider libvirt"))
            }
        };
    }
    match acceleration::decide(asked.profile.machine.acceleration, probe) {
        Err(error) => Finding::problem(format!("{error:#}")).next(firmware),
        Ok(verdict) if !verdict.emulated => Finding::ok(verdict.reason),
        Ok(verdict) if asked.profile.machine.acceleration == Acceleration::Emulated => Finding::ok(verdict.reason),
        Ok(verdict) => Finding::note(format!("{}: about ten times slower", verdict.reason)).next(firmware),
    }
}

/// Has QEMU make a machine with nothing in it: the device may open and KVM
/// still refuse, because another hypervisor holds the CPU.
fn trial(qemu: &Path, holders: Vec<String>, flag: bool) -> Result<Option<Finding>> {
    let output = Cmd::new(qemu)
        .args(["-machine", "none,accel=kvm", "-nodefaults", "-display", "none", "-monitor", "stdio"])
        .stdin("quit\n")
        .timeout(TRIAL)
        .output()?;
    if output.status.success() {
        // Without the flag KVM may make machines that no guest boots in.
        return Ok(flag.then(|| Finding::ok("KVM makes a machine (tried with QEMU)")));
    }
    let said = output.stderr.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("QEMU failed").to_owned();
    let (who, next) = if holders.is_empty() {
        (String::new(), "look at the kernel's words: sudo dmesg | grep -i kvm".to_owned())
    } else {
        (format!("; {} may hold it", holders.join(", ")), format!("stop the machines of {}", holders.join(", ")))
    };
    Ok(Some(Finding::problem(format!("KVM refuses to make a machine: {said}{who}")).next(next)))
}

/// Other hypervisors that are at work.
fn holders() -> Vec<String> {
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let running = names.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
    let mut found: Vec<String> = running.filter_map(|name| hypervisor(name.trim()).map(str::to_owned)).collect();
    found.sort();
    found.dedup();
    found
}

fn hypervisor(process: &str) -> Option<&'static str> {
    match process {
        "VBoxHeadless" | "VirtualBoxVM" => Some("VirtualBox"),
        "vmware-vmx" => Some("VMware"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn fake_qemu(dir: &Path, script: &str) -> std::path::PathBuf {
        let path = dir.join("qemu");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_kvm_that_another_hypervisor_holds_is_a_problem_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        // As QEMU 7.2 prints it while VirtualBox runs a machine.
        let busy = "echo 'ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy' >&2; exit 1";
        let qemu = fake_qemu(dir.path(), busy);
        let finding = trial(&qemu, vec!["VirtualBox".into()], true).unwrap().unwrap();
        assert_eq!(
            finding.text,
            "KVM refuses to make a machine: ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy; VirtualBox may hold it"
        );
        assert_eq!(finding.next.as_deref(), Some("stop the machines of VirtualBox"));
        let qemu = fake_qemu(dir.path(), "read line; [ \"$line\" = quit ]");
        assert_eq!(trial(&qemu, vec![], true).unwrap().unwrap().level, super::super::Level::Ok);
        assert!(trial(&qemu, vec![], false).unwrap().is_none());
    }

    #[test]
    fn hypervisors_are_known_by_their_processes() {
        assert_eq!(hypervisor("VBoxHeadless"), Some("VirtualBox"));
        assert_eq!(hypervisor("qemu-system-x86"), None);
    }
}
