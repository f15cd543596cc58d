//! libvirt's daemon: found running, started where that is possible, and the
//! command to start it where it is not.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::as_root::{self, AsRoot};
use crate::host::{self, kvm_device};
use crate::interrupt;
use crate::process::{self, Cmd};
use crate::ui::Ui;

/// How long a started daemon may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What happens when one connects to libvirt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It takes the connection.
    Runs,
    /// This user may not connect.
    Denied,
    /// Nobody listens.
    Stopped,
}

/// Tries the sockets of a daemon in turn: `libvirt-sock`, or of newer hosts
/// `virtqemud-sock`. With systemd, connecting is also what starts it.
#[must_use]
pub fn ask(run: &Path, sockets: &[&str]) -> Answer {
    let answers: Vec<Answer> = sockets
        .iter()
        .map(|socket| match UnixStream::connect(run.join(socket)) {
            Ok(_) => Answer::Runs,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Answer::Denied,
            Err(_) => Answer::Stopped,
        })
        .collect();
    [Answer::Runs, Answer::Denied].into_iter().find(|answer| answers.contains(answer)).unwrap_or(Answer::Stopped)
}

const LIBVIRT: &[&str] = &["libvirt-sock", "virtqemud-sock"];
const LOG: &[&str] = &["virtlogd-sock"];

/// What libvirt is to this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Libvirt {
    /// It answers.
    Answers,
    /// It runs, and this user may not use it; what to do.
    Denied(&'static str),
    /// It does not run; these commands start it.
    Stopped(Vec<AsRoot>),
    /// No daemon of it is on this host.
    Missing,
}

/// What to type where libvirt refuses this user.
const JOIN_GROUP: &str = "join its group: sudo usermod -aG libvirt \"$USER\" && exec newgrp libvirt";

/// The way to start libvirt: by systemd where it manages the host, else the
/// daemons themselves. `log_runs`: its log daemon runs already.
#[must_use]
pub fn how_to_start(systemd: bool, root: bool, log_runs: bool, daemon: &str) -> Vec<AsRoot> {
    let command = |words: &[&str]| AsRoot::new(root, words);
    if systemd {
        vec![command(&["systemctl", "start", daemon])]
    } else if log_runs {
        vec![command(&[daemon, "-d"])]
    } else {
        vec![command(&["virtlogd", "-d"]), command(&[daemon, "-d"])]
    }
}

/// What to do where libvirt leaves it to a polkit that does not run.
const NO_POLKIT: &str = "it asks polkit, which does not run: start dbus and polkitd; or set auth_unix_rw = \"none\" and \
                         unix_sock_rw_perms = \"0770\" in /etc/libvirt/libvirtd.conf and start libvirt again";

const RUN: &str = "/run/libvirt";
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// Asks this host's libvirt; changes nothing.
pub fn libvirt() -> Result<Libvirt> {
    let run = Path::new(RUN);
    Ok(match ask(run, LIBVIRT) {
        // Where polkit decides, everyone connects and is refused afterwards.
        Answer::Runs if host::is_root() || virsh_answers()? => Libvirt::Answers,
        // Every user may connect, so polkit decides, whom one asks by D-Bus.
        Answer::Runs if !Path::new(SYSTEM_BUS).exists() => Libvirt::Denied(NO_POLKIT),
        Answer::Runs | Answer::Denied => Libvirt::Denied(JOIN_GROUP),
        Answer::Stopped => match ["libvirtd", "virtqemud"].into_iter().find(|daemon| process::find(daemon).is_some()) {
            None => Libvirt::Missing,
            Some(daemon) => {
                let log_runs = ask(run, LOG) != Answer::Stopped;
                Libvirt::Stopped(how_to_start(host::has_systemd(), host::is_root(), log_runs, daemon))
            }
        },
    })
}

/// Makes sure that libvirt answers, starting it if it can be started. It is
/// never stopped again: other machines may come to depend on it.
pub fn ensure_libvirt(ui: &Ui) -> Result<()> {
    kvm_device::give_to_its_group(ui)?;
    match libvirt()? {
        Libvirt::Answers => Ok(()),
        Libvirt::Denied(next) => bail!("libvirt runs, but this user may not use it; {next}"),
        Libvirt::Missing => bail!(
            "libvirt is not installed: neither libvirtd nor virtqemud is there; type: provision up, which offers to install it"
        ),
        Libvirt::Stopped(commands) if !host::is_root() => {
            bail!("libvirt is not running; type: {}", as_root::line(&commands))
        }
        Libvirt::Stopped(commands) => start_libvirt(ui, &commands),
    }
}

/// Starts libvirt by these commands and waits until it answers.
pub fn start_libvirt(ui: &Ui, commands: &[AsRoot]) -> Result<()> {
    let task = ui.task("libvirt", "Start libvirt");
    task.close(start(Path::new(RUN), commands))
}

/// Whether virsh, as this user, gets an answer. Starts nothing.
pub fn virsh_answers() -> Result<bool> {
    // In a session of its own virsh has no terminal to ask for a password on.
    let virsh = Cmd::new("setsid").args(["--wait", "virsh", "--connect", "qemu:///system", "uri"]);
    Ok(virsh.timeout(START_LIMIT).output()?.status.success())
}

fn start(run: &Path, commands: &[AsRoot]) -> Result<()> {
    // libvirt looks for dnsmasq and iptables on the PATH that it starts with, for as long as it runs.
    let start = |command: &AsRoot| command.cmd().env("PATH", process::path()).timeout(START_LIMIT).read().map(drop);
    commands.iter().try_for_each(start)?;
    let deadline = Instant::now() + START_LIMIT;
    while ask(run, LIBVIRT) != Answer::Runs {
        interrupt::check()?;
        if Instant::now() > deadline {
            bail!(
                "libvirt was started and does not answer after {} s; see why: journalctl -u libvirtd, or run: libvirtd --verbose",
                START_LIMIT.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_socket_that_nobody_listens_on_is_a_stopped_daemon() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ask(dir.path(), LIBVIRT), Answer::Stopped);
        let listener = UnixListener::bind(dir.path().join("virtqemud-sock")).unwrap();
        assert_eq!(ask(dir.path(), LIBVIRT), Answer::Runs);
        drop(listener);
        assert_eq!(ask(dir.path(), LIBVIRT), Answer::Stopped);
    }

    #[test]
    fn the_daemon_is_started_as_the_host_does_it() {
        let lines = |systemd, root, log_runs, daemon| as_root::line(&how_to_start(systemd, root, log_runs, daemon));
        assert_eq!(lines(true, true, false, "libvirtd"), "systemctl start libvirtd");
        assert_eq!(lines(false, true, false, "libvirtd"), "virtlogd -d && libvirtd -d");
        assert_eq!(lines(false, true, true, "libvirtd"), "libvirtd -d");
        assert_eq!(lines(false, false, false, "libvirtd"), "sudo virtlogd -d && sudo libvirtd -d");
        assert_eq!(lines(true, false, false, "virtqemud"), "sudo systemctl start virtqemud");
    }
}
