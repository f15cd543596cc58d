//! The published schema of a run's document is that of the types.

use std::path::Path;

#[test]
fn the_schema_of_results_is_up_to_date() {
    let mut current = serde_json::to_string_pretty(&schemars::schema_for!(provision::bench::run::Run)).unwrap();
    current.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/result.schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == current, "config/result.schema.json is out of date; run: UPDATE=1 cargo test --test result");
}
