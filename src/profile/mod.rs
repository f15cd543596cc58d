//! The lab as the user wants it: the TOML profile with its overrides, checked
//! whole before anything is touched.
//!
//! Values come in layers: the built-in default profile, a profile file, the
//! environment, the command line; each value remembers its layer. The JSON
//! schema that is generated from [`types`] drives the checking.

pub mod compat;
mod fault;
mod formats;
mod layers;
mod nodes;
mod overrides;
mod path;
pub mod questions;
mod read;
mod rules;
pub mod schema;
pub mod template;
pub mod types;

use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;

pub use fault::{Fault, Faults, Origin};
use layers::Values;
pub use nodes::NodeSpec;
pub use overrides::mebibytes;
use path::Path;
use read::{Leaf, Reading};
pub use types::{Acceleration, Access, BoxSource, Load, Profile, Provider, Role, Size, Sudo};

/// The built-in default profile.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

/// Its values.
fn defaults() -> anyhow::Result<toml::Table> {
    toml::from_str(DEFAULT).context("read the built-in profile")
}

/// Where a profile comes from, besides the environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--profile`: a file; none means the built-in default alone.
    pub file: Option<PathBuf>,
    /// `--provider`.
    pub provider: Option<String>,
    /// `--cpus`, for every node.
    pub cpus: Option<String>,
    /// `--memory`, for every node: MiB, or with a unit (`4GiB`).
    pub memory: Option<String>,
}

/// A profile that passed every check.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The profile.
    pub profile: Profile,
    /// Every single value with its origin, in the default profile's order.
    pub explain: Vec<Explained>,
}

/// One value of a profile, for the user to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The field, such as `nodes[0].cpus`.
    pub path: String,
    /// Its value.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Reads, merges and checks a profile. `environment` looks up a variable; one
/// that is empty counts as not set.
pub fn load(sources: &Sources, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Faults> {
    let schema = schema::schema();
    let base = read::read(DEFAULT, &schema, &|_, _| Origin::Default);
    let file = sources.file.as_ref().map_or_else(Reading::default, |path| read_file(path, &schema));
    let mut faults = base.faults;
    faults.extend(file.faults);

    let mut values = Values::new(&base.leaves, file.nodes);
    for leaf in file.leaves {
        values.set(leaf);
    }
    for (path, value, origin) in overrides::given(sources, environment, &values, &schema, &mut faults) {
        values.set(Leaf { path, value, origin });
    }
    match serde_json::from_value::<Profile>(values.tree()) {
        Ok(profile) => {
            faults.extend(rule_faults(&profile, &values, &faults));
            if faults.is_empty() {
                return Ok(Loaded { explain: values.explain(), profile });
            }
        }
        // The schema is generated from the types, so this takes a fault in the program.
        Err(error) => faults.push((Path::default(), Fault { origin: Origin::Default, text: error.to_string() })),
    }
    let mut faults: Vec<Fault> = faults.into_iter().map(|(_, fault)| fault).collect();
    faults.sort_by(|a, b| a.origin.cmp(&b.origin));
    faults.dedup();
    Err(Faults { faults, next: check_command(sources) })
}

/// The built-in default profile without any override.
///
/// # Panics
/// If it has faults, which a test excludes.
#[must_use]
pub fn default_profile() -> Profile {
    match load(&Sources::default(), &|_| None) {
        Ok(loaded) => loaded.profile,
        Err(faults) => panic!("the built-in profile is refused: {faults}"),
    }
}

fn check_command(sources: &Sources) -> String {
    let mut words = vec!["provision".to_owned(), "plan".to_owned()];
    if let Some(file) = &sources.file {
        words.extend(["--profile".to_owned(), file.display().to_string()]);
    }
    shell_words::join(words)
}

fn read_file(path: &std::path::Path, schema: &Value) -> Reading {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => read::read(&text, schema, &|line, column| Origin::File { name: name.clone(), line, column }),
        Err(error) => {
            let origin = Origin::File { name, line: 0, column: 0 };
            let fault = Fault { origin, text: format!("cannot be read: {error}") };
            Reading { faults: vec![(Path::default(), fault)], ..Reading::default() }
        }
    }
}

/// The rules that are broken and look only at values that are themselves fine.
fn rule_faults(profile: &Profile, values: &Values, faults: &[(Path, Fault)]) -> Vec<(Path, Fault)> {
    let spoilt = |field: &Path| faults.iter().any(|(path, _)| !path.0.is_empty() && path.holds(field));
    rules::broken(profile)
        .into_iter()
        .filter(|broken| !broken.fields.iter().any(spoilt))
        .filter_map(|broken| {
            let last = broken.fields.into_iter().max_by(|a, b| values.place(a).cmp(&values.place(b)))?;
            let origin = values.place(&last)?.clone();
            Some((last, Fault { origin, text: broken.text }))
        })
        .collect()
}
