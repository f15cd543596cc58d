//! From TOML text to single values with their places, and every fault of form:
//! syntax, unknown fields, wrong types, values out of bounds.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Origin};
use super::path::Path;
use super::schema::{self, Refusal, Shape};
use crate::secrets;

/// One value of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// Which field.
    pub path: Path,
    /// Its value, checked against the schema.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// What a profile file says.
#[derive(Debug, Default)]
pub struct Reading {
    /// The values that are fine, in the file's order.
    pub leaves: Vec<Leaf>,
    /// The faults with the fields they concern.
    pub faults: Vec<(Path, Fault)>,
    /// Where each of the file's `[[nodes]]` begins, if it has any.
    pub nodes: Option<Vec<Origin>>,
}

/// Reads the text of a profile; `origin` makes a place of line and column.
pub fn read(text: &str, schema: &Value, origin: &dyn Fn(usize, usize) -> Origin) -> Reading {
    let mut reader = Reader { text, origin, reading: Reading::default() };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut broken = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or_default();
        broken.push(reader.place(span.start).0);
        reader.fault(Path::default(), &span, error.message().to_owned());
    }
    reader.table(table.get_ref(), schema, &Path::default());
    let mut reading = reader.reading;
    // What the parser made of a broken line is not what the user wrote.
    let guessed = |origin: &Origin| matches!(origin, Origin::File { line, .. } if broken.contains(line));
    reading.leaves.retain(|leaf| !guessed(&leaf.origin));
    reading.faults.retain(|(path, fault)| path.0.is_empty() || !guessed(&fault.origin));
    reading
}

struct Reader<'a> {
    text: &'a str,
    origin: &'a dyn Fn(usize, usize) -> Origin,
    reading: Reading,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>, schema: &Value, path: &Path) {
        let Shape::Table(fields) = schema::shape(schema) else { return };
        for (key, value) in table {
            let at = path.key(key.get_ref());
            match fields.get(key.get_ref().as_ref()) {
                Some(field) => self.value(value, field, &at),
                None => self.unknown(&key.span(), at, fields.keys()),
            }
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &Value, path: &Path) {
        match (schema::shape(schema), value.get_ref()) {
            (Shape::Table(_), DeValue::Table(table)) => self.table(table, schema, path),
            (Shape::Table(_), _) => self.refused(value, path, "a table"),
            (Shape::Array(items), DeValue::Array(array)) if !array.is_empty() => {
                let begin = |item: &Spanned<DeValue<'_>>| self.origin_of(&item.span());
                self.reading.nodes = Some(array.iter().map(begin).collect());
                for (index, item) in array.iter().enumerate() {
                    self.value(item, items, &path.index(index));
                }
            }
            (Shape::Array(_), _) => self.refused(value, path, &format!("one or more [[{path}]] tables")),
            (Shape::Leaf, inner) => {
                let json = single(inner);
                match schema::check(schema, &json) {
                    Ok(()) => {
                        let origin = self.origin_of(&value.span());
                        self.reading.leaves.push(Leaf { path: path.clone(), value: json, origin });
                    }
                    Err(refusal) => self.refused(value, path, &allowed(&refusal)),
                }
            }
        }
    }

    fn unknown<'f>(&mut self, span: &Range<usize>, path: Path, fields: impl Iterator<Item = &'f String> + Clone) {
        let meant = schema::nearest(path.name(), fields.clone().map(String::as_str));
        let meant = meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        let fields: Vec<&str> = fields.map(String::as_str).collect();
        let text = format!("unknown field {path}{meant}; allowed: {}", fields.join(", "));
        self.fault(path, span, text);
    }

    fn refused(&mut self, value: &Spanned<DeValue<'_>>, path: &Path, allowed: &str) {
        let shown = match value.get_ref() {
            DeValue::Table(_) => "a table".to_owned(),
            DeValue::Array(array) if array.is_empty() => "an empty array".to_owned(),
            DeValue::Array(array) if array.iter().any(|item| item.get_ref().is_table()) => "an array".to_owned(),
            _ => shorten(&secrets::redact(self.text.get(value.span()).unwrap_or_default())),
        };
        self.fault(path.clone(), &value.span(), format!("{path} is {shown}; allowed: {allowed}"));
    }

    fn fault(&mut self, path: Path, span: &Range<usize>, text: String) {
        let origin = self.origin_of(span);
        self.reading.faults.push((path, Fault { origin, text }));
    }

    fn origin_of(&self, span: &Range<usize>) -> Origin {
        let (line, column) = self.place(span.start);
        (self.origin)(line, column)
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn place(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The words after `allowed:`.
#[must_use]
pub fn allowed(refusal: &Refusal) -> String {
    let meant =
        refusal.meant.as_ref().map(|meant| format!(" (did you mean {}?)", secrets::redact(meant))).unwrap_or_default();
    format!("{}{meant}", refusal.allowed)
}

/// A value on one line of reasonable length.
fn shorten(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= 60 { line } else { line.chars().take(60).chain(['…']).collect() }
}

/// A TOML value as JSON; what no field takes (dates, numbers beyond 64 bits,
/// tables) becomes null, which no check takes either.
fn single(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Array(items) => items.iter().map(|item| single(item.get_ref())).collect(),
        _ => Value::Null,
    }
}
