//! Apertium: rule-based translation, 2–4 ms a clause.
//!
//! Apertium is GPL and never linked: the programs of a pair's mode run as a pipeline of child
//! processes with NUL flushing, so that one pipeline translates clause after clause.

mod escape;
mod mode;
mod pool;

pub use mode::{DEBIAN_MODES, StartApertiumError};
pub use pool::{ApertiumPool, ApertiumSettings, ApertiumStats};
