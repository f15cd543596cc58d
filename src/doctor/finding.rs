//! One thing that the doctor found.

use serde::Serialize;

use crate::host::as_root::AsRoot;
use crate::host::packages::Need;

/// How much a finding matters to the profile that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Good to know; the lab comes up without it.
    Note,
    /// The lab does not come up like this.
    Problem,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// What `--fix` can do about a finding.
#[derive(Debug, Clone)]
pub enum Remedy {
    /// Install this.
    Install(&'static Need),
    /// Start libvirt by these commands.
    StartLibvirt(Vec<AsRoot>),
    /// Run these commands.
    Run(Vec<AsRoot>),
}

/// One thing that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is, in a sentence without a capital or a full stop.
    pub text: String,
    /// What to do or type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The page that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What `--fix` does about it.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
}

impl Finding {
    fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), next: None, source: None, remedy: None }
    }

    /// All is well.
    #[must_use]
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(Level::Ok, text)
    }

    /// Good to know.
    #[must_use]
    pub fn note(text: impl Into<String>) -> Self {
        Self::new(Level::Note, text)
    }

    /// Something that the lab needs is missing or wrong.
    #[must_use]
    pub fn problem(text: impl Into<String>) -> Self {
        Self::new(Level::Problem, text)
    }

    /// A problem if it matters to this profile, else a note.
    #[must_use]
    pub fn problem_if(matters: bool, text: impl Into<String>) -> Self {
        Self::new(if matters { Level::Problem } else { Level::Note }, text)
    }

    /// With what to do or type.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// With the page that says so.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        self.source = Some(source.to_owned());
        self
    }

    /// With what `--fix` does.
    #[must_use]
    pub fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }
}
