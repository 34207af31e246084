//! Decoding with an encoder-decoder: what Whisper and Marian share.
//!
//! A [`Batch`] holds sequences of any rooms. Each [`Batch::step`] feeds every sequence its next tokens
//! in one padded run of the decoder's graph; sequences join and leave between steps. A sequence
//! decodes by a [`Search`], greedy or beam, which gives the token ids that transformers gives.
//!
//! ```text
//! encoder outputs ── split_cross ─► CrossStates ─┐
//! prompt, processors ─► Search ──────────────────┴─► Batch::join … Batch::step … Finished
//! ```
//!
//! Nothing here blocks on anything but the graph, and nothing has a clock.

mod batch;
mod beam;
mod cache;
mod decoder;
mod greedy;
mod hypothesis;
mod processors;
mod scores;
mod search;
#[cfg(test)]
mod toy;

pub use batch::{Batch, Finished};
pub use beam::{BeamOptions, EarlyStopping};
pub use cache::{CrossStates, KvCache, split_cross};
pub use decoder::{Decoder, Dimensions, Row, RowsOutput};
pub use hypothesis::Hypothesis;
pub use processors::{ForceToken, LogitsProcessor, Renormalise, SuppressAtBegin, SuppressTokens};
pub use scores::{log_softmax, log_sum_exp};
pub use search::{DecodeError, Decoded, Probe, Search, SearchOptions};
