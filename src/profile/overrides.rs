//! Values from the command line and the environment, which beat a file's.

use serde_json::Value;

use super::fault::{Fault, Origin};
use super::layers::Values;
use super::path::{Path, Step};
use super::{Sources, read, schema};
use crate::secrets;

/// A flag and an environment variable that set a field; the flag wins.
struct Override {
    /// Empty where there is none.
    flag: &'static str,
    variable: &'static str,
    field: &'static str,
    given: fn(&Sources) -> Option<&String>,
    parse: fn(&str) -> Value,
    /// Follows the field's own allowed values.
    also: &'static str,
    /// The variable is the whole session's, not ours: a profile's word beats it.
    ambient: bool,
}

/// A variable that other programs read too.
const fn ambient(variable: &'static str, field: &'static str, parse: fn(&str) -> Value) -> Override {
    Override { flag: "", variable, field, given: |_| None, parse, also: "", ambient: true }
}

const OVERRIDES: &[Override] = &[
    Override {
        flag: "--provider",
        variable: "PROVIDER",
        field: "provider",
        given: |sources| sources.provider.as_ref(),
        parse: |text| Value::from(text),
        also: "",
        ambient: false,
    },
    Override {
        flag: "--cpus",
        variable: "CPUS",
        field: "cpus",
        given: |sources| sources.cpus.as_ref(),
        parse: whole_number,
        also: "",
        ambient: false,
    },
    Override {
        flag: "--memory",
        variable: "MEMORY",
        field: "memory_mib",
        given: |sources| sources.memory.as_ref(),
        parse: |text| mebibytes(text).map_or(Value::Null, Value::from),
        also: " (MiB), or with a unit, such as 4GiB",
        ambient: false,
    },
    Override {
        flag: "",
        variable: "PROVISION_DEBIAN_MIRROR",
        field: "mirrors.debian",
        given: |_| None,
        parse: |text| Value::from(text),
        also: "",
        ambient: false,
    },
    ambient("HTTP_PROXY", "network.proxy.http", proxy),
    ambient("http_proxy", "network.proxy.http", proxy),
    ambient("HTTPS_PROXY", "network.proxy.https", proxy),
    ambient("https_proxy", "network.proxy.https", proxy),
    ambient("NO_PROXY", "network.proxy.none", without_blanks),
    ambient("no_proxy", "network.proxy.none", without_blanks),
];

/// The overrides that hold, one value for each field they set.
pub fn given(
    sources: &Sources,
    environment: &dyn Fn(&str) -> Option<String>,
    values: &Values,
    schema: &Value,
    faults: &mut Vec<(Path, Fault)>,
) -> Vec<(Path, Value, Origin)> {
    let mut set = Vec::new();
    for it in OVERRIDES {
        let flag = (it.given)(sources).map(|text| (text.clone(), Origin::Flag(it.flag)));
        let variable = || environment(it.variable).filter(|text| !text.is_empty());
        let Some((text, origin)) = flag.or_else(|| variable().map(|text| (text, Origin::Environment(it.variable))))
        else {
            continue;
        };
        let value = (it.parse)(text.trim());
        let named = |path: &&Path| path.name() == it.field || path.to_string() == it.field;
        let told = |path: &&Path| it.ambient && !matches!(values.place(path), Some(Origin::Default));
        let paths: Vec<Path> = values.paths().filter(named).filter(|path| !told(path)).cloned().collect();
        for path in paths {
            match schema::check(field_schema(schema, &path), &value) {
                Ok(()) => set.push((path, value.clone(), origin.clone())),
                // Not ours to refuse; the doctor tells of it.
                Err(_) if it.ambient => {}
                Err(refusal) => {
                    let text =
                        format!("value {}; allowed: {}{}", secrets::redact(&text), read::allowed(&refusal), it.also);
                    faults.push((path, Fault { origin: origin.clone(), text }));
                }
            }
        }
    }
    set
}

fn field_schema<'a>(schema: &'a Value, path: &Path) -> &'a Value {
    path.0.iter().fold(schema, |schema, step| match step {
        Step::Key(name) => &schema["properties"][name],
        Step::Index(_) => &schema["items"],
    })
}

/// As curl takes it: without a scheme it is one for `http`.
fn proxy(text: &str) -> Value {
    Value::from(if text.contains("://") { text.to_owned() } else { format!("http://{text}") })
}

fn without_blanks(text: &str) -> Value {
    Value::from(text.chars().filter(|c| !c.is_whitespace()).collect::<String>())
}

fn whole_number(text: &str) -> Value {
    text.parse::<i64>().map_or(Value::Null, Value::from)
}

/// Mebibytes from a bare number or one with a unit of 1024: `4096`, `4G`,
/// `4GiB`, `4096MiB`.
#[must_use]
pub fn mebibytes(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: i64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => 1,
        "g" | "gb" | "gib" => 1024,
        "t" | "tb" | "tib" => 1024 * 1024,
        _ => return None,
    };
    number.checked_mul(factor)
}
