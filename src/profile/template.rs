//! A profile to start from: every field with its description and its default,
//! written from the same schema that checks profiles, so that none is missing.

use anyhow::Result;
use serde_json::Value;

use super::questions::{ADDRESSES, Answers, answer};
use super::{Role, defaults, schema};

/// The widest line of a comment.
const WIDTH: usize = 78;

/// The text of a profile in which the fields of `answers` are set and all
/// others stand as comments with their defaults.
pub fn write(answers: &Answers) -> Result<String> {
    let answers = &with_workers(answers);
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
        // More machines of the same kind: only what was said of them.
        let more =
            items.first().and_then(toml::Value::as_table).map(|first| set(&format!("{name}[1]"), first, answers));
        if let Some(more) = more.filter(|more| !more.is_empty()) {
            text.push_str(&format!("\n{open}"));
            more.iter().for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
        }
    }
    Ok(text)
}

/// The answers, with those that follow from several addresses: all but the first are
/// workers, logged in to in the same way.
fn with_workers(answers: &Answers) -> Vec<(String, String)> {
    let mut all = answers.to_vec();
    let addresses = answer(answers, ADDRESSES).map(|text| text.split_once(','));
    if let Some(Some((first, others))) = addresses {
        all.retain(|(field, _)| field != ADDRESSES);
        let how = answers.iter().filter_map(|(field, value)| {
            Some((format!("nodes[1].ssh.{}", field.strip_prefix("nodes[0].ssh.")?), value.clone()))
        });
        all.extend(how);
        all.push((ADDRESSES.into(), first.into()));
        all.push(("nodes[1].role".into(), Role::Worker.name().into()));
        all.push(("nodes[1].addresses".into(), others.into()));
    }
    all
}

/// What the answers say of the fields of a table with these defaults.
fn set(path: &str, table: &toml::Table, answers: &Answers) -> toml::Table {
    let said = |(key, value)| Some((String::clone(key), answered(&format!("{path}.{key}"), value, answers)?));
    table.iter().filter_map(said).collect()
}

/// What the answers make of a field whose default is `value`, if they say anything of it.
fn answered(path: &str, value: &toml::Value, answers: &Answers) -> Option<toml::Value> {
    if let Some(table) = value.as_table() {
        let set = set(path, table, answers);
        return (!set.is_empty()).then(|| table.clone().into_iter().chain(set).collect::<toml::Table>().into());
    }
    let text = answer(answers, path)?;
    Some(match value {
        toml::Value::Array(_) => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(toml::Value::from)
            .collect::<Vec<_>>()
            .into(),
        // A word that is no number stays one, so that the check can name it.
        toml::Value::Integer(_) => text.parse::<i64>().map_or_else(|_| text.into(), toml::Value::from),
        _ => text.into(),
    })
}

fn is_tables(value: &toml::Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(toml::Value::is_table))
}

fn field(text: &mut String, schema: &Value, path: &str, key: &str, value: &toml::Value, answers: &Answers) {
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
    let line = match answered(path, value, answers) {
        Some(value) => format!("{key} = {value}"),
        None => format!("# {key} = {value}"),
    };
    text.push_str(&line);
    text.push('\n');
}

/// Lines of a comment, broken between words.
fn comment(text: &mut String, words: &str) {
    // A single line break is the source's, not the text's.
    for paragraph in words.split("\n\n").map(|text| text.replace('\n', " ")) {
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

    fn said(field: &str, value: &str) -> (String, String) {
        (field.to_owned(), value.to_owned())
    }

    #[test]
    fn machines_that_exist_are_written_as_a_control_plane_and_workers() {
        let one = [said("provider", "hosts"), said(ADDRESSES, "192.0.2.1")];
        assert_eq!(loaded(&write(&one).unwrap()).unwrap().groups.len(), 1);
        let several = [
            said("provider", "hosts"),
            said(ADDRESSES, "192.0.2.1, 192.0.2.2:2222,192.0.2.3"),
            said("nodes[0].ssh.user", "debian"),
            said("nodes[0].ssh.sudo", "free"),
        ];
        let profile = loaded(&write(&several).unwrap()).unwrap();
        let ports = |index: usize| profile.groups[index].addresses.iter().map(|it| it.port).collect::<Vec<_>>();
        assert_eq!((ports(0), ports(1)), (vec![22], vec![2222, 22]));
        assert_eq!((profile.groups[0].role, profile.groups[1].role), (Role::ControlPlane, Role::Worker));
        assert_eq!((profile.groups[0].ssh.user.as_str(), &profile.groups[1].ssh), ("debian", &profile.groups[0].ssh));
        assert!(write(&[said(ADDRESSES, "192.0.2.1")]).unwrap().contains("\n# cpus = 2\n"));
    }

    #[test]
    fn answers_are_set_and_checked() {
        let answer = said;
        let text = write(&[answer("name", "mine"), answer("nodes[0].cpus", "4")]).unwrap();
        let profile = loaded(&text).unwrap();
        assert_eq!((profile.name.as_str(), profile.groups[0].cpus), ("mine", 4));
        assert!(
            loaded(&write(&[answer("nodes[0].cpus", "many")]).unwrap())
                .unwrap_err()
                .contains("nodes[0].cpus is \"many\"")
        );
        assert!(loaded(&write(&[answer("name", "a\"b")]).unwrap()).is_err());
    }
}
