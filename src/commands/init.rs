//! `provision init`: a profile of one's own, with every field explained.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::profile::questions::{self, ADDRESSES, Answers, Blank, Question};
use crate::profile::{self, Fault, Faults, Origin, Provider, Sources, template};
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
    /// Machines that exist already, reached by SSH; the first will be the control plane
    #[arg(long = "address", value_name = "ADDRESS[:PORT]", value_delimiter = ',')]
    addresses: Vec<String>,
}

const ADDRESS: &str = "--address";

/// Stands for addresses that are still to be asked for: one of those for documentation
/// (RFC 5737).
const STAND_IN: &str = "192.0.2.1";

impl Init {
    /// Asks, checks and writes.
    pub fn run(&self, sources: &Sources, ui: &Ui) -> Result<()> {
        refuse_existing(&self.file)?;
        let asks = !self.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let mut answers = self.given(sources);
        self.check_given(&answers, sources, asks)?;
        if asks {
            for question in questions::QUESTIONS {
                if questions::answer(&answers, question.field).is_some() || !(question.matters)(&answers) {
                    continue;
                }
                if let Some(answer) = ask(ui, question, &answers)? {
                    answers.push((question.field.to_owned(), answer));
                }
            }
        }
        create(&self.file, &template::write(&answers)?)?;
        let file = self.quoted();
        ui.note(&format!("wrote {file}; next: provision doctor --profile {file}   provision up --profile {file}"));
        Ok(())
    }

    /// The file, as a shell takes it.
    fn quoted(&self) -> String {
        shell_words::quote(&self.file.display().to_string()).into_owned()
    }

    /// Options and variables that set fields, as answers.
    fn given(&self, sources: &Sources) -> Vec<(String, String)> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let memory = sources.memory.clone().or_else(|| variable("MEMORY"));
        let memory = memory.map(|text| profile::mebibytes(&text).map_or(text, |mib| mib.to_string()));
        let addresses = Some(self.addresses.join(",")).filter(|text| !text.is_empty());
        let provider = sources.provider.clone().or_else(|| variable("PROVIDER"));
        // Machines that exist already have one provider.
        let provider = provider.or_else(|| addresses.as_ref().map(|_| Provider::Hosts.name().to_owned()));
        [
            ("provider", provider),
            (ADDRESSES, addresses),
            ("nodes[0].cpus", sources.cpus.clone().or_else(|| variable("CPUS"))),
            ("nodes[0].memory_mib", memory),
        ]
        .into_iter()
        .filter_map(|(field, value)| Some((field.to_owned(), value?)))
        .collect()
    }

    /// What was given has to be right before anything is asked or written; faults stand
    /// at the options and variables.
    fn check_given(&self, answers: &Answers, sources: &Sources, asks: bool) -> Result<()> {
        let (hosts, addresses) = (questions::on_hosts(answers), questions::answer(answers, ADDRESSES));
        let file = self.quoted();
        if hosts && addresses.is_none() && !asks {
            let text = "\"hosts\" are machines that exist already, and none is named".to_owned();
            let fault = Fault { origin: Origin::Flag("--provider"), text };
            let next = format!("provision init {file} {ADDRESS} ADDRESS,ADDRESS");
            return Err(Faults { faults: vec![fault], next }.into());
        }
        let implied = hosts.then(|| Provider::Hosts.name().to_owned());
        let sources = Sources { provider: implied.or_else(|| sources.provider.clone()), ..sources.clone() };
        let addresses = addresses.or_else(|| hosts.then_some(STAND_IN));
        let addresses: Vec<_> = addresses.into_iter().map(|text| (ADDRESSES.to_owned(), text.to_owned())).collect();
        let Some(mut faults) = faults(&template::write(&addresses)?, sources, &|name| std::env::var(name).ok())? else {
            return Ok(());
        };
        for fault in faults.faults.iter_mut().filter(|fault| matches!(fault.origin, Origin::File { .. })) {
            fault.origin = Origin::Flag(ADDRESS);
        }
        faults.next = format!("provision init {file}");
        Err(faults.into())
    }
}

fn refuse_existing(file: &Path) -> Result<()> {
    // Something that cannot be looked at is not to be overwritten either.
    if file.symlink_metadata().is_ok() {
        bail!("{} exists and is left as it is; name another file: provision init FILE", file.display());
    }
    Ok(())
}

/// Asks until the answer is one that a profile may hold; an empty one is what the
/// question says, and the end of the input too. None: the built-in profile's value.
fn ask(ui: &Ui, question: &Question, before: &Answers) -> Result<Option<String>> {
    let default = match question.blank {
        Blank::Default => Some(questions::default_of(question.field)?),
        Blank::Value(value) => Some(value.to_owned()),
        Blank::Nothing => None,
    };
    loop {
        let shown = default.as_ref().map(|value| format!(" [{value}]")).unwrap_or_default();
        ui.note(&format!("{}{shown}:", question.text));
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).context("read the answer")?;
        let answer = line.trim();
        if answer.is_empty() {
            match question.blank {
                Blank::Default => return Ok(None),
                Blank::Value(value) => return Ok(Some(value.to_owned())),
                Blank::Nothing if read == 0 => bail!("the input ended; nothing was written"),
                Blank::Nothing => continue,
            }
        }
        let mut answers = before.to_vec();
        answers.push((question.field.to_owned(), answer.to_owned()));
        if questions::on_hosts(&answers) && questions::answer(&answers, ADDRESSES).is_none() {
            answers.push((ADDRESSES.to_owned(), STAND_IN.to_owned()));
        }
        let Some(faults) = faults(&template::write(&answers)?, Sources::default(), &|_| None)? else {
            return Ok(Some(answer.to_owned()));
        };
        // Several machines have the same fault of their login.
        let own: Vec<&Fault> = faults.faults.iter().filter(|fault| fault.text.contains(question.field)).collect();
        let told = if own.is_empty() { faults.faults.iter().collect() } else { own };
        told.iter().for_each(|fault| ui.warn(&fault.text));
    }
}

/// What is wrong with a profile of this text with these options and variables, if anything.
fn faults(text: &str, options: Sources, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Faults>> {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().context("create a file to check the profile in")?;
    std::fs::write(file.path(), text).context("write the profile to check it")?;
    let sources = Sources { file: Some(file.path().to_owned()), ..options };
    Ok(profile::load(&sources, environment).err())
}

/// Writes a file that must not be there.
fn create(file: &Path, text: &str) -> Result<()> {
    let mut out = std::fs::File::create_new(file).with_context(|| format!("create {}", file.display()))?;
    out.write_all(text.as_bytes()).with_context(|| format!("write {}", file.display()))
}
