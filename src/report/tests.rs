//! The three reports of made-up runs.

use super::{html, markdown, synthetic, terminal};
use crate::bench::design::Size;
