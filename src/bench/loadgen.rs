//! The document that the load generator prints.

use anyhow::{Context, Result, bail};

#[path = "../../loadgen/src/result.rs"]
mod result;

pub use result::*;

/// Reads what a generator printed; a document of another format is refused.
pub fn read(text: &str) -> Result<Report> {
    let start = || text.chars().take(300).collect::<String>();
    let report: Report = serde_json::from_str(text.trim())
        .with_context(|| format!("read what the load generator printed: {}", start()))?;
    if report.format != FORMAT {
        bail!("the load generator speaks {}, this program {FORMAT}", report.format);
    }
    Ok(report)
}
