//! What `init` asks, and what was answered.

use anyhow::{Context, Result};

use super::{Provider, defaults};

/// Fields and their values as typed, such as `("nodes[0].cpus", "4")`; those of a list
/// with commas between.
pub type Answers = [(String, String)];

/// The answer to a field, if there is one.
#[must_use]
pub fn answer<'a>(answers: &'a Answers, field: &str) -> Option<&'a str> {
    answers.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
}

/// The machines that exist already, in [`Answers`]: the first is the control plane's,
/// the others are workers'.
pub const ADDRESSES: &str = "nodes[0].addresses";

/// A field that `init` asks for.
pub struct Question {
    /// The field, such as `nodes[0].cpus`.
    pub field: &'static str,
    /// The question.
    pub text: &'static str,
    /// What an empty answer stands for.
    pub blank: Blank,
    /// Whether it matters after these answers.
    pub matters: fn(&Answers) -> bool,
}

/// What an empty answer stands for.
pub enum Blank {
    /// The built-in profile's value.
    Default,
    /// This value.
    Value(&'static str),
    /// Nothing: it is asked again.
    Nothing,
}

/// What differs most often from one lab to another, in the order of asking.
pub const QUESTIONS: &[Question] = &[
    Question { field: "name", text: "Name of the lab", blank: Blank::Default, matters: |_| true },
    Question {
        field: "provider",
        text: "What runs the machines (libvirt, virtualbox; hosts: they exist already)",
        blank: Blank::Default,
        matters: |_| true,
    },
    Question {
        field: ADDRESSES,
        text: "The machines' addresses, with commas between; the first will be the control plane",
        blank: Blank::Nothing,
        matters: on_hosts,
    },
    Question { field: "nodes[0].ssh.user", text: "The login name on them", blank: Blank::Default, matters: on_hosts },
    Question {
        field: "nodes[0].ssh.sudo",
        text: "How that login becomes root: by sudo that asks nothing (free) or asks for the password (password)",
        blank: Blank::Value("free"),
        matters: |answers| answer(answers, "nodes[0].ssh.user").is_some_and(|user| user != "root"),
    },
    Question {
        field: "nodes[0].cpus",
        text: "CPUs of the node",
        blank: Blank::Default,
        matters: |answers| !on_hosts(answers),
    },
    Question {
        field: "nodes[0].memory_mib",
        text: "Memory of the node, MiB",
        blank: Blank::Default,
        matters: |answers| !on_hosts(answers),
    },
    Question {
        field: "network.machines",
        text: "The machines' network, one that nothing else uses",
        blank: Blank::Default,
        matters: |answers| !on_hosts(answers),
    },
];

/// Whether the machines exist already.
#[must_use]
pub fn on_hosts(answers: &Answers) -> bool {
    answer(answers, "provider") == Some(Provider::Hosts.name())
}

/// The default of a field that [`QUESTIONS`] names.
pub fn default_of(field: &str) -> Result<String> {
    let mut value = toml::Value::Table(defaults()?);
    for step in field.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        let next = step.parse::<usize>().map_or_else(|_| value.get(step), |index| value.get(index));
        value = next.with_context(|| format!("find {field} in the built-in profile"))?.clone();
    }
    Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(field: &str, value: &str) -> (String, String) {
        (field.to_owned(), value.to_owned())
    }

    #[test]
    fn questions_are_those_of_the_provider() {
        let asked = |answers: &Answers| -> Vec<&str> {
            QUESTIONS.iter().filter(|it| (it.matters)(answers)).map(|it| it.field).collect()
        };
        let made = ["name", "provider", "nodes[0].cpus", "nodes[0].memory_mib", "network.machines"];
        assert_eq!(asked(&[]), made);
        assert_eq!(asked(&[said("provider", "virtualbox")]), made);
        let hosts = [said("provider", "hosts"), said("nodes[0].ssh.user", "root")];
        assert_eq!(asked(&hosts), ["name", "provider", ADDRESSES, "nodes[0].ssh.user"]);
        let login = [said("provider", "hosts"), said("nodes[0].ssh.user", "debian")];
        assert_eq!(asked(&login).last(), Some(&"nodes[0].ssh.sudo"));
    }

    #[test]
    fn a_default_is_the_built_in_profile_s() {
        let profile = crate::profile::default_profile();
        assert_eq!(default_of("nodes[0].memory_mib").unwrap(), profile.groups[0].memory_mib.to_string());
        assert_eq!(default_of("nodes[0].ssh.user").unwrap(), profile.groups[0].ssh.user);
    }
}
