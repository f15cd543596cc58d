//! libvirt's daemon: found running, started where that is possible, and the
//! command to start it where it is not.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

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

/// How a stopped libvirt is started on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// By these commands, in order, as this user.
    Commands(Vec<Vec<String>>),
    /// Only by the user, who types this.
    ByUser(String),
}

/// The way to start libvirt: by systemd where it manages the host, else the
/// daemons themselves, if we are root. `log_runs`: its log daemon runs already.
#[must_use]
pub fn how_to_start(systemd: bool, root: bool, log_runs: bool, daemon: &str) -> Start {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<String>>();
    let commands = if systemd {
        vec![words(&format!("systemctl start {daemon}"))]
    } else if log_runs {
        vec![words(&format!("{daemon} -d"))]
    } else {
        vec![words("virtlogd -d"), words(&format!("{daemon} -d"))]
    };
    if root {
        return Start::Commands(commands);
    }
    let lines: Vec<String> = commands.iter().map(|command| format!("sudo {}", command.join(" "))).collect();
    Start::ByUser(lines.join(" && "))
}

/// Makes sure that libvirt answers, starting it if it can be started. It is
/// never stopped again: other machines may come to depend on it.
pub fn ensure_libvirt(ui: &Ui) -> Result<()> {
    kvm_device::give_to_its_group(ui)?;
    ensure_libvirt_in(Path::new("/run/libvirt"), ui)
}

fn ensure_libvirt_in(run: &Path, ui: &Ui) -> Result<()> {
    match ask(run, LIBVIRT) {
        // Where polkit decides, everyone connects and is refused afterwards.
        Answer::Runs if host::is_root() || virsh_answers()? => return Ok(()),
        Answer::Runs | Answer::Denied => bail!(
            "libvirt runs, but this user may not use it; join its group: sudo usermod -aG libvirt \"$USER\" && exec newgrp libvirt"
        ),
        Answer::Stopped => {}
    }
    let Some(daemon) = ["libvirtd", "virtqemud"].into_iter().find(|daemon| process::find(daemon).is_some()) else {
        bail!(
            "libvirt is not installed: neither libvirtd nor virtqemud is there; type: provision up, which offers to install it"
        );
    };
    let log_runs = ask(run, LOG) != Answer::Stopped;
    match how_to_start(host::has_systemd(), host::is_root(), log_runs, daemon) {
        Start::ByUser(line) => bail!("libvirt is not running; type: {line}"),
        Start::Commands(commands) => {
            let task = ui.task("libvirt", "Start libvirt");
            task.close(start(run, &commands))
        }
    }
}

fn virsh_answers() -> Result<bool> {
    let virsh = Cmd::new("virsh").args(["--connect", "qemu:///system", "--no-pkttyagent", "uri"]);
    Ok(virsh.timeout(START_LIMIT).output()?.status.success())
}

fn start(run: &Path, commands: &[Vec<String>]) -> Result<()> {
    for command in commands {
        let program = process::find(&command[0]).unwrap_or_else(|| PathBuf::from(&command[0]));
        Cmd::new(program).args(&command[1..]).timeout(START_LIMIT).read()?;
    }
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
        let commands = |start: Start| match start {
            Start::Commands(commands) => commands.iter().map(|command| command.join(" ")).collect::<Vec<_>>(),
            Start::ByUser(line) => vec![format!("user: {line}")],
        };
        assert_eq!(commands(how_to_start(true, true, false, "libvirtd")), ["systemctl start libvirtd"]);
        assert_eq!(commands(how_to_start(false, true, false, "libvirtd")), ["virtlogd -d", "libvirtd -d"]);
        assert_eq!(commands(how_to_start(false, true, true, "libvirtd")), ["libvirtd -d"]);
        assert_eq!(
            commands(how_to_start(false, false, false, "libvirtd")),
            ["user: sudo virtlogd -d && sudo libvirtd -d"]
        );
        assert_eq!(commands(how_to_start(true, false, false, "virtqemud")), ["user: sudo systemctl start virtqemud"]);
    }
}
