//! `provision init`: a profile of one's own, with every field explained.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::profile::{self, Faults, Sources, template};
use crate::ui::Ui;

/// Write a profile with every field explained.
///
/// Asks for what differs most often where it can, on a terminal; never overwrites a file.
#[derive(Debug, Args)]
pub struct Init {
    /// The file to write
    #[arg(default_value = "lab.toml")]
    file: PathBuf,
    /// Take the defaults and the options given, ask nothing
    #[arg(long, short)]
    yes: bool,
}

impl Init {
    /// Asks, checks and writes.
    pub fn run(&self, sources: &Sources, ui: &Ui) -> Result<()> {
        refuse_existing(&self.file)?;
        let given_alone = Sources { file: None, ..sources.clone() };
        profile::load(&given_alone, &|name| std::env::var(name).ok())?;
        let mut answers = given(sources);
        if !self.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            for question in template::QUESTIONS {
                if answers.iter().any(|(field, _)| field == question.field) {
                    continue;
                }
                if let Some(answer) = ask(ui, question, &answers)? {
                    answers.push((question.field.to_owned(), answer));
                }
            }
        }
        create(&self.file, &template::write(&answers)?)?;
        let file = shell_words::quote(&self.file.display().to_string()).into_owned();
        ui.note(&format!("wrote {file}; next: provision doctor --profile {file}   provision up --profile {file}"));
        Ok(())
    }
}

fn refuse_existing(file: &Path) -> Result<()> {
    // Something that cannot be looked at is not to be overwritten either.
    if file.symlink_metadata().is_ok() {
        bail!("{} exists and is left as it is; name another file: provision init FILE", file.display());
    }
    Ok(())
}

/// Options and variables that set fields, as answers.
fn given(sources: &Sources) -> Vec<(String, String)> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let memory = sources.memory.clone().or_else(|| variable("MEMORY"));
    let memory = memory.map(|text| profile::mebibytes(&text).map_or(text, |mib| mib.to_string()));
    [
        ("provider", sources.provider.clone().or_else(|| variable("PROVIDER"))),
        ("nodes[0].cpus", sources.cpus.clone().or_else(|| variable("CPUS"))),
        ("nodes[0].memory_mib", memory),
    ]
    .into_iter()
    .filter_map(|(field, value)| Some((field.to_owned(), value?)))
    .collect()
}

/// Asks until the answer is one that a profile may hold; an empty one is the
/// default, and the end of the input too.
fn ask(ui: &Ui, question: &template::Question, before: &[(String, String)]) -> Result<Option<String>> {
    loop {
        ui.note(&format!("{} [{}]:", question.text, template::default_of(question.field)?));
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("read the answer")?;
        let answer = line.trim();
        if answer.is_empty() {
            return Ok(None);
        }
        let mut answers = before.to_vec();
        answers.push((question.field.to_owned(), answer.to_owned()));
        let Some(faults) = faults(&template::write(&answers)?)? else { return Ok(Some(answer.to_owned())) };
        faults.faults.iter().for_each(|fault| ui.warn(&fault.text));
    }
}

/// What is wrong with a profile of this text, if anything.
fn faults(text: &str) -> Result<Option<Faults>> {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().context("create a file to check the profile in")?;
    std::fs::write(file.path(), text).context("write the profile to check it")?;
    let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
    Ok(profile::load(&sources, &|_| None).err())
}

/// Writes a file that must not be there.
fn create(file: &Path, text: &str) -> Result<()> {
    let mut out = std::fs::File::create_new(file).with_context(|| format!("create {}", file.display()))?;
    out.write_all(text.as_bytes()).with_context(|| format!("write {}", file.display()))
}
