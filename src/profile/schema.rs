//! The JSON schema of a profile, generated from its types, and the check of a
//! single value against a node of it. The schema is the only list of fields.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::formats::FORMATS;
use super::types::Profile;

/// The schema of a profile file: nested types written in place, nothing
/// required, since what a file leaves out comes from the default profile.
#[must_use]
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .for_deserialize()
        .into_generator()
        .into_root_schema_for::<Profile>()
        .to_value();
    require_nothing(&mut schema);
    schema
}

fn require_nothing(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("required").is_some_and(Value::is_array) {
                fields.remove("required");
            }
            fields.values_mut().for_each(require_nothing);
        }
        Value::Array(items) => items.iter_mut().for_each(require_nothing),
        _ => {}
    }
}

/// The schema as it is published for editors: with the default profile's
/// values, and the patterns and words of the formats that they do not know.
#[must_use]
pub fn published(defaults: &Value) -> Value {
    let mut schema = schema();
    annotate(&mut schema, defaults);
    schema
}

fn annotate(schema: &mut Value, default: &Value) {
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.iter_mut().for_each(|(name, field)| annotate(field, &default[name]));
    } else if matches!(shape(schema), Shape::Array(_)) {
        annotate(&mut schema["items"], &default[0]);
    } else {
        schema["default"] = default.clone();
        if let Some(format) = FORMATS.iter().find(|format| schema["format"] == format.name) {
            schema["pattern"] = format.pattern.into();
            let description = schema["description"].as_str().unwrap_or_default();
            schema["description"] = format!("{description}\nAllowed: {}.", format.allowed).into();
        }
    }
}

/// The shape that a node of the schema asks for.
pub enum Shape<'a> {
    /// A table with these fields.
    Table(&'a serde_json::Map<String, Value>),
    /// An array of tables of this shape, of at least one element.
    Array(&'a Value),
    /// A single value, or a list of such.
    Leaf,
}

/// The shape that `schema` asks for.
#[must_use]
pub fn shape(schema: &Value) -> Shape<'_> {
    if let Some(fields) = schema["properties"].as_object() {
        Shape::Table(fields)
    } else if schema["type"] == "array" && schema["items"]["properties"].is_object() {
        Shape::Array(&schema["items"])
    } else {
        Shape::Leaf
    }
}

/// Why a value is refused: what is allowed, and the value that was probably meant.
pub struct Refusal {
    /// What is allowed, in words.
    pub allowed: String,
    /// A value close to the one given that would be taken.
    pub meant: Option<String>,
}

/// Checks a single value against its node of the schema.
pub fn check(schema: &Value, value: &Value) -> Result<(), Refusal> {
    if let Some(choices) = choices(schema) {
        if choices.contains(&value.as_str().unwrap_or_default()) {
            return Ok(());
        }
        let meant = value.as_str().and_then(|text| nearest(text, choices.iter().copied())).map(str::to_owned);
        return Err(Refusal { allowed: choices.join(", "), meant });
    }
    if schema["type"] == "integer" {
        let (least, most) = (&schema["minimum"], &schema["maximum"]);
        let within = value.as_f64().zip(least.as_f64()).zip(most.as_f64()).map(|((it, least), most)| {
            // The bounds are far below 2^53, so that the comparison is exact.
            value.is_i64() && (least..=most).contains(&it)
        });
        let allowed = format!("a whole number from {least} to {most}");
        return if within == Some(true) { Ok(()) } else { Err(Refusal { allowed, meant: None }) };
    }
    if schema["type"] == "array" {
        let nothing = |refusal: Refusal| Refusal { allowed: format!("a list, each {}", refusal.allowed), meant: None };
        let Some(items) = value.as_array() else {
            return check(&schema["items"], &Value::Null).map_err(nothing);
        };
        return items.iter().try_for_each(|item| check(&schema["items"], item).map_err(nothing));
    }
    let Some(format) = FORMATS.iter().find(|format| schema["format"] == format.name) else {
        return Err(Refusal { allowed: "nothing: the schema has no check for this field".into(), meant: None });
    };
    let verdict = value.as_str().ok_or(None).and_then(format.check);
    verdict.map_err(|meant| Refusal { allowed: format.allowed.to_owned(), meant })
}

/// The words that `schema` allows, if it is a list of words.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    let listed = schema["enum"].as_array().map(|words| words.iter().filter_map(Value::as_str).collect());
    listed.or_else(|| Some(schema["oneOf"].as_array()?.iter().filter_map(|one| one["const"].as_str()).collect()))
}

/// The word that `text` was probably meant to be.
#[must_use]
pub fn nearest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    words
        .map(|word| (strsim::damerau_levenshtein(&text, word), word))
        .filter(|&(distance, word)| distance <= word.len().div_ceil(3) && distance < text.len())
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_has_bounds_choices_or_a_format() {
        fn walk(schema: &Value, path: &str, leaves: &mut Vec<String>) {
            match shape(schema) {
                Shape::Table(fields) => {
                    assert_eq!(schema["additionalProperties"], false, "{path}");
                    fields.iter().for_each(|(name, field)| walk(field, &format!("{path}.{name}"), leaves));
                }
                Shape::Array(items) => {
                    assert_eq!(schema["minItems"], 1, "{path}");
                    walk(items, path, leaves);
                }
                Shape::Leaf => {
                    let Err(refusal) = check(schema, &Value::Null) else { panic!("{path} takes anything") };
                    assert!(!refusal.allowed.contains("null") && !refusal.allowed.contains("nothing"), "{path}");
                    leaves.push(path.to_owned());
                }
            }
        }
        let mut leaves = Vec::new();
        walk(&schema(), "", &mut leaves);
        assert!(leaves.contains(&".benchmark.emulated.users".to_owned()), "{leaves:?}");
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let words = ["cpus", "memory_mib", "count"];
        assert_eq!(nearest("memry_mib", words.into_iter()), Some("memory_mib"));
        assert_eq!(nearest("cpu", words.into_iter()), Some("cpus"));
        assert_eq!(nearest("flavour", words.into_iter()), None);
    }
}
