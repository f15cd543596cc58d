//! Rendering; the only file that knows `tera`. Templates are embedded, so a
//! missing one fails the build.

use anyhow::{Context, Result};
use serde::Serialize;

/// Renders `template` (its text) with `values`; `name` is for errors.
///
/// Filters of our own: `shell` quotes a value for a POSIX shell, `ruby` makes a
/// Ruby string literal.
pub fn render(name: &str, template: &str, values: &impl Serialize) -> Result<String> {
    let mut tera = tera::Tera::default();
    tera.register_filter("shell", |value: &tera::Value, _: &_| {
        Ok(shell_words::quote(&plain(value)).into_owned().into())
    });
    tera.register_filter("ruby", |value: &tera::Value, _: &_| Ok(ruby(&plain(value)).into()));
    tera.add_raw_template(name, template).with_context(|| format!("parse template {name}"))?;
    let context = tera::Context::from_serialize(values).with_context(|| format!("fill template {name}"))?;
    tera.render(name, &context).map_err(|error| flatten(&error)).with_context(|| format!("render template {name}"))
}

fn plain(value: &tera::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A single-quoted Ruby literal: only backslash and quote mean anything in it.
fn ruby(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

// Tera hides the cause ("variable not found") in `source`.
fn flatten(error: &tera::Error) -> anyhow::Error {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    anyhow::anyhow!(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_the_language_they_land_in() {
        let values = serde_json::json!({"v": "it's $HOME\\"});
        assert_eq!(render("t", "A={{ v | shell }}", &values).unwrap(), r"A='it'\''s $HOME\'");
        assert_eq!(render("t", "a = {{ v | ruby }}", &values).unwrap(), r"a = 'it\'s $HOME\\'");
    }

    #[test]
    fn a_missing_value_is_named() {
        let error = format!("{:#}", render("node.env", "{{ nope }}", &serde_json::json!({})).unwrap_err());
        assert!(error.contains("node.env") && error.contains("nope"), "{error}");
    }
}
