//! What is wrong with a profile: all of it at once, each fault with its place.

use std::fmt;

/// Where a value came from. Ordered as faults are listed: a file's from top to
/// bottom, then the environment's, then the flags'.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The built-in default profile.
    Default,
    /// A profile file; line and column count from 1, the column in characters.
    File {
        /// The file as the user named it.
        name: String,
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// An environment variable.
    Environment(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File { name, line, .. } => write!(f, "file {name}:{line}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "{name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where the value came from; a file that cannot be read has line 0.
    pub origin: Origin,
    /// What is wrong and what is allowed instead.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { name, line: 0, .. } => write!(f, "{name}: {}", self.text),
            Origin::File { name, line, column } => write!(f, "{name}:{line}:{column}: {}", self.text),
            other => write!(f, "{other}: {}", self.text),
        }
    }
}

/// All that is wrong with a profile. Callers branch on this type to exit with
/// code 2 (usage) instead of 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}\nmend and check again: {}", header(.faults), lines(.faults), .next)]
pub struct Faults {
    /// The faults in the order of [`Origin`]; never empty.
    pub faults: Vec<Fault>,
    /// The command that checks again.
    pub next: String,
}

fn header(faults: &[Fault]) -> String {
    match faults.len() {
        1 => "the profile has a fault:".to_owned(),
        count => format!("the profile has {count} faults:"),
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}
