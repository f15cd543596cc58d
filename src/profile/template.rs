//! A profile to start from: every field with its description and its default,
//! written from the same schema that checks profiles, so that none is missing.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{DEFAULT, schema};

/// A field that `init` asks for.
pub struct Question {
    /// The field, such as `nodes[0].cpus`.
    pub field: &'static str,
    /// The question.
    pub text: &'static str,
}

/// What differs most often from one lab to another, in the order of asking.
pub const QUESTIONS: &[Question] = &[
    Question { field: "name", text: "Name of the lab" },
    Question { field: "provider", text: "What runs the machines" },
    Question { field: "nodes[0].cpus", text: "CPUs of the node" },
    Question { field: "nodes[0].memory_mib", text: "Memory of the node, MiB" },
    Question { field: "network.machines", text: "The machines' network, one that nothing else uses" },
];

/// The widest line of a comment.
const WIDTH: usize = 78;

fn defaults() -> Result<toml::Table> {
    toml::from_str(DEFAULT).context("read the built-in profile")
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

/// The text of a profile in which the fields of `answers` are set and all
/// others stand as comments with their defaults.
pub fn write(answers: &[(String, String)]) -> Result<String> {
    let mut text = String::from(
        "# A lab of `provision`. What is commented out is the default; take away the\n\
         # `#` to change it. What holds in the end is shown by: provision plan --profile FILE\n",
    );
    let schema = schema::schema();
    let (tables, plain): (Vec<_>, Vec<_>) =
        defaults()?.into_iter().partition(|(_, value)| value.is_table() || is_tables(value));
    for (name, value) in &plain {
        field(&mut text, &schema["properties"][name], name, name, value, answers);
    }
    for (name, value) in &tables {
        let schema = &schema["properties"][name];
        text.push('\n');
        comment(&mut text, schema["description"].as_str().unwrap_or_default());
        let single = [value.clone()];
        let (items, schema, open) = match value.as_array() {
            Some(items) => (items.as_slice(), &schema["items"], format!("[[{name}]]\n")),
            None => (single.as_slice(), schema, format!("[{name}]\n")),
        };
        for (index, item) in items.iter().enumerate() {
            text.push_str(&open);
            let path = if value.is_array() { format!("{name}[{index}]") } else { name.clone() };
            for (key, value) in item.as_table().into_iter().flatten() {
                field(&mut text, &schema["properties"][key], &format!("{path}.{key}"), key, value, answers);
            }
        }
    }
    Ok(text)
}

fn is_tables(value: &toml::Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(toml::Value::is_table))
}

fn field(text: &mut String, schema: &Value, path: &str, key: &str, value: &toml::Value, answers: &[(String, String)]) {
    text.push('\n');
    comment(text, schema["description"].as_str().unwrap_or_default());
    if let Some(values) = schema["oneOf"].as_array() {
        for allowed in values {
            let meaning = allowed["description"].as_str().unwrap_or_default();
            comment(text, &format!("  {}: {meaning}", allowed["const"]));
        }
    }
    if let (Some(least), Some(most)) = (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        comment(text, &format!("From {least} to {most}."));
    }
    let line = match answers.iter().find(|(field, _)| field == path) {
        // A word that is no number stays one, so that the check can name it.
        Some((_, answer)) if value.is_integer() && answer.parse::<u64>().is_ok() => format!("{key} = {answer}"),
        Some((_, answer)) => format!("{key} = {}", toml::Value::String(answer.clone())),
        None => format!("# {key} = {value}"),
    };
    text.push_str(&line);
    text.push('\n');
}

/// Lines of a comment, broken between words.
fn comment(text: &mut String, words: &str) {
    for paragraph in words.lines() {
        let indent = &paragraph[..paragraph.len() - paragraph.trim_start().len()];
        let mut line = format!("#{indent}");
        for word in paragraph.split_whitespace() {
            if line.len() + 1 + word.len() > WIDTH {
                text.push_str(&line);
                text.push('\n');
                line = format!("#{indent}{indent}");
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&line);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Sources, default_profile, load};

    fn loaded(text: &str) -> Result<crate::profile::Profile, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab.toml");
        std::fs::write(&path, text).unwrap();
        let sources = Sources { file: Some(path), ..Sources::default() };
        load(&sources, &|_| None).map(|loaded| loaded.profile).map_err(|faults| faults.to_string())
    }

    #[test]
    fn without_answers_it_is_the_built_in_profile() {
        let text = write(&[]).unwrap();
        assert_eq!(loaded(&text).unwrap(), default_profile());
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn the_defaults_that_stand_as_comments_are_fields_of_a_profile() {
        let text = write(&[]).unwrap();
        let fields = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split(' ').nth(1) == Some("=") => rest,
            _ => line,
        });
        let all: String = fields.map(|line| format!("{line}\n")).collect();
        assert!(all.contains("\nname = \"lab\"\n"), "{all}");
        assert_eq!(loaded(&all).unwrap(), default_profile());
    }

    #[test]
    fn answers_are_set_and_checked() {
        let answer = |field: &str, value: &str| (field.to_owned(), value.to_owned());
        let text = write(&[answer("name", "mine"), answer("nodes[0].cpus", "4")]).unwrap();
        let profile = loaded(&text).unwrap();
        assert_eq!((profile.name.as_str(), profile.groups[0].cpus), ("mine", 4));
        assert!(
            loaded(&write(&[answer("nodes[0].cpus", "many")]).unwrap())
                .unwrap_err()
                .contains("nodes[0].cpus is \"many\"")
        );
        assert!(loaded(&write(&[answer("name", "a\"b")]).unwrap()).is_err());
        assert_eq!(default_of("nodes[0].memory_mib").unwrap(), default_profile().groups[0].memory_mib.to_string());
    }
}
