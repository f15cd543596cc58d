//! From a login to root: as root, by sudo without a password, or by sudo with
//! one, which is asked once on the terminal, goes over standard input only, and
//! is in no command line, environment or log.

use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::node::Output;

/// How a login is to become root.
#[derive(Debug, Clone)]
pub enum Root {
    /// It is root.
    Login,
    /// By sudo, which asks nothing.
    Free,
    /// By sudo with this password, should it ask.
    Password(Arc<Password>),
}

/// A password that is kept for this process and shown nowhere.
#[derive(Default)]
pub struct Password(Mutex<Option<String>>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// Keeps what the user typed.
    pub fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn line(&self) -> String {
        format!("{}\n", self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default())
    }
}

/// How one connection becomes root, found out at its beginning.
pub enum Way {
    Login,
    Free,
    Password(Arc<Password>),
}

/// Whatever sudo remembers is not used: it must ask each time, or never, since
/// a password it does not read would reach the command.
const ASKING: &str = "sudo -k -S -p ''";
const NOT_ASKING: &str = "sudo -n";

impl Way {
    /// The command as the login's shell gets it.
    pub fn command(&self, command: &str) -> String {
        let sudo = match self {
            Self::Login => return command.to_owned(),
            Self::Free => NOT_ASKING,
            Self::Password(_) => ASKING,
        };
        format!("{sudo} -- bash -c {}", shell_words::quote(command))
    }

    /// What goes before the command's own input.
    pub fn input(&self) -> impl Read + use<> {
        Cursor::new(match self {
            Self::Password(password) => password.line(),
            _ => String::new(),
        })
    }
}

impl Root {
    /// Finds out how commands become root's on a machine; `ask` runs one there
    /// as the login's user.
    pub fn find(&self, name: &str, user: &str, ask: &mut dyn FnMut(&str, &str) -> Result<Output>) -> Result<Way> {
        if let Self::Login = self {
            return Ok(Way::Login);
        }
        let free = ask("sudo -k -n true", "")?;
        if free.status == 0 {
            return Ok(Way::Free);
        }
        let Self::Password(password) = self else {
            bail!(
                "{name}: sudo refuses {user}: {}\n  allow it there, or say in the profile that it asks for a password: \
                 nodes.ssh.sudo = \"password\"",
                said(&free)
            );
        };
        let asked = ask(&format!("{ASKING} true"), &password.line())?;
        if asked.status != 0 {
            bail!(
                "{name}: sudo refuses {user} with this password: {}\n  try it: ssh -t {user}@ADDRESS sudo true",
                said(&asked)
            );
        }
        Ok(Way::Password(Arc::clone(password)))
    }
}

/// The first line that sudo printed.
fn said(output: &Output) -> &str {
    let lines = output.stderr.lines().chain(output.stdout.lines());
    lines.map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(status: i32, stderr: &str) -> Output {
        Output { status, stdout: String::new(), stderr: stderr.into() }
    }

    #[test]
    fn a_password_goes_nowhere_where_sudo_asks_for_none() {
        let password = Arc::new(Password::default());
        password.set("secret".into());
        let mut seen = Vec::new();
        let way = Root::Password(password)
            .find("node1", "me", &mut |command, input| {
                seen.push(format!("{command}<{input}"));
                Ok(output(0, ""))
            })
            .unwrap();
        assert_eq!(seen, ["sudo -k -n true<"]);
        assert_eq!(way.command("echo 'a b'"), r"sudo -n -- bash -c 'echo '\''a b'\'''");
        assert_eq!(std::io::read_to_string(way.input()).unwrap(), "");
    }

    #[test]
    fn a_password_is_input_and_in_no_command() {
        let password = Arc::new(Password::default());
        password.set("secret".into());
        let root = Root::Password(Arc::clone(&password));
        let way = root
            .find("node1", "me", &mut |command, input| {
                assert!(!command.contains("secret"));
                Ok(output(i32::from(input != "secret\n"), "sudo: a password is required"))
            })
            .unwrap();
        assert_eq!(way.command("true"), "sudo -k -S -p '' -- bash -c true");
        assert_eq!(std::io::read_to_string(way.input()).unwrap(), "secret\n");
        assert_eq!(format!("{root:?}"), "Password(Password(…))");
        let error = root.find("node1", "me", &mut |_, _| Ok(output(1, "\nme is not in the sudoers file\n"))).err();
        assert!(error.unwrap().to_string().contains("refuses me with this password: me is not in the sudoers file"));
    }
}
