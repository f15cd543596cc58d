//! Whether downloads can be checked: the authorities that this host trusts,
//! those added to it, and its clock.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::{Asked, Finding, Host, Remedy, Topic};
use crate::host::as_root::{self, AsRoot};
use crate::host::is_root;
use crate::outside::trusted_authorities;
use crate::process;

/// Certificates and the clock.
pub struct Certificates;

/// Variables that name files with certificates.
const VARIABLES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"];
/// Folders for authorities of one's own, and what puts them into the bundle.
const OWN: &[(&str, &str)] = &[
    ("/usr/local/share/ca-certificates", "update-ca-certificates"),
    ("/etc/pki/ca-trust/source/anchors", "update-ca-trust"),
    ("/etc/pki/trust/anchors", "update-ca-certificates"),
];
/// How far a clock may be behind this program's own file.
const BEHIND: Duration = Duration::from_secs(24 * 3600);

impl Topic for Certificates {
    fn title(&self, _: &Asked) -> String {
        "certificates".into()
    }

    fn look(&self, _: &Asked, _: &Host) -> Result<Vec<Finding>> {
        let mut found: Vec<Finding> =
            VARIABLES.iter().filter_map(|name| variable(name, std::env::var_os(name)?.into())).collect();
        // Without one the package is missing, which is told elsewhere.
        if let Some(bundle) = trusted_authorities() {
            let text = std::fs::read_to_string(&bundle).with_context(|| format!("read {}", bundle.display()))?;
            let trusted = bodies(&text);
            found.push(match trusted.len() {
                0 => Finding::problem(format!("{} holds no certificate", bundle.display()))
                    .next("sudo update-ca-certificates --fresh"),
                count => Finding::ok(format!("{} holds {count} authorities", bundle.display())),
            });
            for (folder, command) in OWN.iter().filter(|(_, command)| process::find(command).is_some()) {
                let commands = vec![AsRoot::new(is_root(), &[command])];
                found.extend(untrusted(Path::new(folder), &trusted).into_iter().map(|path| {
                    Finding::problem(format!("{} is not among the authorities that programs trust", path.display()))
                        .next(as_root::line(&commands))
                        .remedy(Remedy::Run(commands.clone()))
                }));
            }
        }
        found.extend(clock());
        Ok(found)
    }
}

fn variable(name: &str, value: PathBuf) -> Option<Finding> {
    (!value.as_os_str().is_empty() && !value.exists()).then(|| {
        Finding::problem(format!("{name} is {}, which is not there: no server can be trusted", value.display()))
            .next(format!("unset {name}"))
    })
}

/// The certificates in a bundle, as their Base64 without line breaks.
fn bodies(pem: &str) -> Vec<String> {
    let parts = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    parts.filter_map(|part| Some(part.split_once("-----END")?.0.split_whitespace().collect())).collect()
}

/// Files of `folder` with a certificate that is not `trusted`.
fn untrusted(folder: &Path, trusted: &[String]) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|end| end == "crt" || end == "pem"))
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            bodies(&text).iter().any(|body| !trusted.contains(body))
        })
        .collect()
}

/// A clock that is far behind makes every certificate invalid.
fn clock() -> Option<Finding> {
    let made = std::env::current_exe().ok()?.metadata().ok()?.modified().ok()?;
    let behind = made.duration_since(SystemTime::now()).ok()?;
    (behind > BEHIND).then(|| {
        Finding::problem(format!("this host's clock is at least {} days behind", behind.as_secs() / 86400))
            .next("set it: sudo timedatectl set-ntp true, or: sudo date --set 'YYYY-MM-DD HH:MM'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_of_ones_own_must_be_in_the_bundle() {
        let dir = tempfile::tempdir().unwrap();
        let pem = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        std::fs::write(dir.path().join("company.crt"), pem("QUJD\nREVG")).unwrap();
        std::fs::write(dir.path().join("notes.txt"), pem("WA==")).unwrap();
        let bundle = format!("{}{}", pem("Zm9v"), pem("QUJDREVG"));
        assert_eq!(bodies(&bundle), ["Zm9v", "QUJDREVG"]);
        assert!(untrusted(dir.path(), &bodies(&bundle)).is_empty());
        assert_eq!(untrusted(dir.path(), &bodies(&pem("Zm9v"))), [dir.path().join("company.crt")]);
        assert!(untrusted(&dir.path().join("none"), &[]).is_empty());
    }

    #[test]
    fn a_variable_that_names_nothing_is_a_problem() {
        let finding = variable("SSL_CERT_FILE", "/nowhere/ca.pem".into()).unwrap();
        assert_eq!(finding.next.as_deref(), Some("unset SSL_CERT_FILE"));
        assert!(variable("SSL_CERT_DIR", "/".into()).is_none());
        assert!(variable("SSL_CERT_FILE", "".into()).is_none());
    }
}
