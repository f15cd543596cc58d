//! `machine.json`: what the Vagrantfile needs to know of this host and no
//! profile can say (box, boot files, acceleration).

use anyhow::{Context, Result};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::lab::Lab;
use crate::paths;
use crate::profile::Provider;
use crate::provider::BootFiles;
use crate::provider::vagrant::{PoolNames, pool_path};

/// Kernel words that every machine gets. Interface names stay `eth0`, the
/// console is the serial port, and a kernel that panics restarts.
const CMDLINE: &str = "root=LABEL=provision-root rw console=ttyS0 net.ifnames=0 panic=10";
/// Those that an emulated machine gets besides.
const CMDLINE_EMULATED: &str = include_str!("../templates/node/cmdline-emulated.txt");

#[derive(Serialize)]
struct MachineFile<'a> {
    provider: &'a str,
    /// What tells the proxies of the nodes' files from others: they may hold passwords.
    proxies: String,
    r#box: BoxReference<'a>,
    boot_timeout_s: u32,
    #[serde(flatten)]
    libvirt: Option<Libvirt<'a>>,
}

/// What only libvirt's machines take from here.
#[derive(Serialize)]
struct Libvirt<'a> {
    driver: &'a str,
    cpu_mode: &'a str,
    disk_cache: &'a str,
    /// What starts a box that has no boot loader.
    #[serde(flatten)]
    direct: Option<Direct>,
}

#[derive(Serialize)]
struct Direct {
    kernel: String,
    initrd: String,
    cmdline: String,
}

#[derive(Serialize)]
struct BoxReference<'a> {
    name: &'a str,
    version: &'a str,
    url: String,
}

/// A box catalogue of one box, as Vagrant reads it: it carries the version and
/// the checksum, which a bare box file cannot.
#[derive(Serialize)]
struct Catalogue<'a> {
    name: &'a str,
    versions: [CatalogueVersion<'a>; 1],
}

#[derive(Serialize)]
struct CatalogueVersion<'a> {
    version: &'a str,
    providers: [CatalogueProvider<'a>; 1],
}

#[derive(Serialize)]
struct CatalogueProvider<'a> {
    name: &'a str,
    url: &'a str,
    checksum_type: &'a str,
    checksum: &'a str,
}

/// Writes `machine.json` and the box catalogue beside it. libvirt's boot files
/// must be in the pool already.
pub fn write(lab: &Lab, files: &BootFiles, provider: Provider, emulated: bool) -> Result<()> {
    let catalogue = Catalogue {
        name: &files.box_name,
        versions: [CatalogueVersion {
            version: &files.box_version,
            providers: [CatalogueProvider {
                name: provider.name(),
                url: &files.box_url,
                checksum_type: "sha256",
                checksum: &files.box_sha256,
            }],
        }],
    };
    let catalogue_file = lab.dir().join("box.json");
    paths::write_atomic(&catalogue_file, &to_json(&catalogue)?, 0o644)?;

    let machine = MachineFile {
        provider: provider.name(),
        proxies: proxies(&|name| std::env::var(name).ok()),
        r#box: BoxReference {
            name: &files.box_name,
            version: &files.box_version,
            url: format!("file://{}", catalogue_file.display()),
        },
        boot_timeout_s: if emulated { 900 } else { 300 },
        libvirt: (provider == Provider::Libvirt).then(|| libvirt(lab, files, emulated)).transpose()?,
    };
    paths::write_atomic(&lab.machine_json(), &to_json(&machine)?, 0o644)
}

fn libvirt(lab: &Lab, files: &BootFiles, emulated: bool) -> Result<Libvirt<'static>> {
    Ok(Libvirt {
        driver: if emulated { "qemu" } else { "kvm" },
        cpu_mode: if emulated { "maximum" } else { "host-passthrough" },
        // Writes are not forced to disk where everything is slow already; a
        // lab that a host's crash spoils there is made again.
        disk_cache: if emulated { "unsafe" } else { "writeback" },
        direct: files.direct.as_ref().map(|_| direct(lab, files, emulated)).transpose()?,
    })
}

fn direct(lab: &Lab, files: &BootFiles, emulated: bool) -> Result<Direct> {
    let names = PoolNames::of(&files.box_name);
    Ok(Direct {
        kernel: pool_path(&names.kernel)?.display().to_string(),
        initrd: pool_path(&names.initrd)?.display().to_string(),
        cmdline: cmdline(&public_key(lab)?, emulated),
    })
}

/// Hash of the proxies of an environment, as the Vagrantfile makes it too.
fn proxies(environment: &dyn Fn(&str) -> Option<String>) -> String {
    let given = |name: &str| environment(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let one = |name: &str| given(name).or_else(|| given(&name.to_uppercase())).unwrap_or_default();
    format!("{:x}", Sha256::digest(["http_proxy", "https_proxy", "no_proxy"].map(one).join("\n")))
}

/// The kernel's command line but for the host name. The lab's public key is a
/// systemd credential on it: root's authorised key, and nothing secret.
fn cmdline(public_key: &str, emulated: bool) -> String {
    use base64::Engine;
    let key = base64::engine::general_purpose::STANDARD.encode(format!("{public_key}\n"));
    let tuning = if emulated { format!(" {}", CMDLINE_EMULATED.trim()) } else { " quiet".to_owned() };
    format!("{CMDLINE}{tuning} systemd.set_credential_binary=ssh.authorized_keys.root:{key}")
}

fn public_key(lab: &Lab) -> Result<String> {
    Ok(paths::read(&lab.ssh_key().with_extension("pub"))?.trim().to_owned())
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).context("write JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_emulated_machines_are_tuned() {
        let emulated = cmdline("ssh-ed25519 AAAA x", true);
        assert!(emulated.contains("tsc=reliable"));
        assert!(emulated.ends_with("ssh.authorized_keys.root:c3NoLWVkMjU1MTkgQUFBQSB4Cg=="));
        assert!(!cmdline("ssh-ed25519 AAAA x", false).contains("tsc=reliable"));
    }
}
