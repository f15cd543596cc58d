//! What VirtualBox says when it does not start a machine, in words that a user
//! can act on: cause and next command.

use crate::failure::Annotated;

/// A failure that is known by a word in VirtualBox's message.
struct Known {
    /// The word; VirtualBox's status codes mean the same in all languages.
    mark: &'static str,
    cause: &'static str,
    next: &'static str,
}

const fn known(mark: &'static str, cause: &'static str, next: &'static str) -> Known {
    Known { mark, cause, next }
}

const DRIVERS: &str = "sudo modprobe -a vboxdrv vboxnetflt vboxnetadp (if they are not built: sudo apt install \
                       virtualbox-dkms, or Oracle's: sudo /sbin/vboxconfig)";
const NO_KVM: &str = "stop KVM's machines (virsh list), then: sudo modprobe -r kvm_intel kvm_amd kvm";
const FIRMWARE: &str =
    "turn virtualisation on in this host's firmware, or use libvirt: provision up --provider libvirt";

/// The codes are those of VirtualBox's headers (include/VBox/err.mac and
/// err.h), with what they say there; the more special ones first.
const KNOWN: &[Known] = &[
    known("VERR_VMX_IN_VMX_ROOT_MODE", "KVM holds the CPU's virtualisation (VT-x)", NO_KVM),
    known("VERR_SVM_IN_USE", "KVM holds the CPU's virtualisation (AMD-V)", NO_KVM),
    known(
        "VERR_SVM_HOST_SVME_NOT_ENABLED",
        "this VirtualBox takes virtualisation from KVM, which has not turned it on",
        "remove enable_virt_at_load=0 from /etc/modprobe.d and the kernel's command line, then: sudo modprobe -r \
         kvm_amd kvm_intel kvm",
    ),
    known("VERR_VMX_MSR_ALL_VMX_DISABLED", "the firmware has turned VT-x off", FIRMWARE),
    known("VERR_VMX_MSR_VMX_DISABLED", "the firmware has turned VT-x off", FIRMWARE),
    known("VERR_SVM_DISABLED", "the firmware has turned AMD-V off", FIRMWARE),
    known("VERR_VMX_NO_VMX", "the CPU has no VT-x, or hides it", FIRMWARE),
    known("VERR_SVM_NO_SVM", "the CPU has no AMD-V, or hides it", FIRMWARE),
    known(
        "VERR_NEM_NOT_AVAILABLE",
        "VirtualBox finds neither its kernel driver nor another way to run a machine",
        DRIVERS,
    ),
    known(
        "VERR_VM_DRIVER_VERSION_MISMATCH",
        "VirtualBox's kernel driver is of another version than VirtualBox",
        "sudo rmmod vboxnetadp vboxnetflt vboxdrv; sudo modprobe -a vboxdrv vboxnetflt vboxnetadp",
    ),
    known(
        "VERR_VM_DRIVER_NOT_ACCESSIBLE",
        "this user may not open /dev/vboxdrv",
        "ls -l /dev/vboxdrv; sudo usermod -aG vboxusers $USER, then log in again",
    ),
    known("VERR_VM_DRIVER", "VirtualBox's kernel driver does not answer", DRIVERS),
    known("VERR_SUPDRV", "VirtualBox's kernel driver does not answer", DRIVERS),
    known("vboxdrv", "VirtualBox's kernel driver does not answer", DRIVERS),
    known("VBoxNetAdpCtl", "VirtualBox's network driver does not answer (/dev/vboxnetctl)", DRIVERS),
    known("VERR_INTNET_FLT_IF_NOT_FOUND", "the lab's host-only network is gone", "provision down && provision up"),
    known(
        "VERR_NO_MEMORY",
        "this host has too little memory left",
        "give the machines less: provision up --memory 2048",
    ),
    known(
        "is not within the allowed ranges",
        "VirtualBox does not allow this address range for host-only networks",
        "allow it in /etc/vbox/networks.conf, or set network.machines = \"192.168.56.0/24\"",
    ),
    known(
        "has terminated unexpectedly during startup",
        "the machine's process ended while it started, as it does without VirtualBox's kernel driver",
        DRIVERS,
    ),
];

/// Cause and next command, if `text` holds a failure that is known.
#[must_use]
pub fn explain(text: &str) -> Option<String> {
    let known = KNOWN.iter().find(|known| text.contains(known.mark))?;
    Some(format!("{}\n  next: {}", known.cause, known.next))
}

/// What stands in front of a log's path in our own errors.
const LOG: &str = "\n  full log: ";

/// The error with its explanation in front, if there is one.
#[must_use]
pub fn explained(error: anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    let Some(explanation) = explain(&text) else { return error };
    let (said, log) = text.split_once(LOG).map_or((text.as_str(), None), |(said, log)| (said, Some(log)));
    let log = log.map(|log| format!("{LOG}{log}")).unwrap_or_default();
    let text = format!("{explanation}\n  VirtualBox: {}{log}", indent(words(said)));
    Annotated { text, about: error }.into()
}

/// What VirtualBox itself says in the text around it (Vagrant's, or ours).
fn words(text: &str) -> &str {
    text.find("VBoxManage: error: ").map_or(text, |at| text[at..].trim_start_matches("VBoxManage: error: "))
}

fn indent(text: &str) -> String {
    text.trim().replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_special_cause_wins_over_the_general_one() {
        let text = "VBoxManage: error: The virtual machine 'a' has terminated unexpectedly during startup with exit code \
                    1 (0x1)\nVBoxManage: error: VT-x is being used by another hypervisor (VERR_VMX_IN_VMX_ROOT_MODE)";
        assert!(explain(text).unwrap().starts_with("KVM holds"));
        assert!(explain(&text[..100]).unwrap().starts_with("the machine's process ended"));
        assert_eq!(explain("something else"), None);
    }

    #[test]
    fn the_words_of_virtualbox_stay() {
        let error = anyhow!(
            "vagrant up: There was an error\nVBoxManage: error: X (VERR_SVM_IN_USE)\nDetails: y\n  full log: /l"
        );
        insta::assert_snapshot!(explained(error), @r"
        KVM holds the CPU's virtualisation (AMD-V)
          next: stop KVM's machines (virsh list), then: sudo modprobe -r kvm_intel kvm_amd kvm
          VirtualBox: X (VERR_SVM_IN_USE)
            Details: y
          full log: /l
        ");
    }
}
