//! eSpeak NG: formant synthesis in a hundred languages, first samples within milliseconds.
//!
//! eSpeak NG is GPL and never linked: each clause is spoken by a child process of its own, which is
//! stateless and cannot mix up clauses. Starting one costs 7–16 ms, so every thread of the pool keeps
//! one started with its data loaded, waiting for text: first samples then come after 0.5–4 ms.

mod pool;
mod voices;

pub use pool::{EspeakPool, EspeakSettings, EspeakStats};
pub use voices::StartEspeakError;

/// Samples a second that eSpeak NG makes.
pub const SAMPLE_RATE: u32 = 22_050;
