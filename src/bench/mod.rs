//! The benchmark: the same server in different hands under the same loads.
//!
//! A [`design`] says what is measured; the [`engine`] carries it out at a
//! [`place`]; [`gates`] decide whether the figures may be believed; a [`run`]
//! is what is left. The method is explained in `docs/BENCHMARK.md`.

pub mod compare;
pub mod design;
pub mod engine;
mod figures;
pub mod gates;
pub mod history;
pub mod judge;
pub mod loadgen;
pub mod merge;
pub mod place;
mod round;
pub mod run;
pub mod store;
pub mod summary;
pub mod verdict;

pub use figures::decode;
