//! The page's plots: SVG text to be set into HTML.
//!
//! They are built with the `svg` crate and not with `plotters`: plotters'
//! SVG backend writes fixed colours into every element and knows no classes, so
//! that light and dark pages would need two drawings or a rewriting of its
//! output; it rounds to whole pixels; and without its fonts (a C library) it
//! guesses the size of text. Here every element has a class, colours are the
//! page's, and what is drawn (a forest plot, a percentile axis) no plotting
//! library has ready.

mod canvas;
mod forest;
mod look;
mod scale;
mod spectrum;
mod trend;

pub(super) use forest::{Panel, panel};
pub(super) use look::{Look, looks};
pub(super) use spectrum::spectrum;
pub(super) use trend::trend;
