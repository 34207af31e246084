//! What was said against what was shown, spoken and forwarded.
//!
//! Everything here is a function of recordings: nothing waits, nothing reads a clock. Times are
//! seconds on the run's [`Clock`](crate::clock::Clock), latencies are ms. The definitions are those
//! of `docs/slo.md`.

pub mod captions;
pub mod forwarding;
pub mod journal;
pub mod report;
pub mod summary;
pub mod table;
pub mod transcript;
pub mod translation;
pub mod words;
