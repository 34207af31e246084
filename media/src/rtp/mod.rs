//! The RTP engine: what an SFU does to packets between publisher and subscriber.

pub mod cache;
pub mod extension;
pub mod forward;
pub mod header;
pub mod meter;
pub mod nack;
pub mod pace;
pub mod receive;
pub mod red;
pub mod sequence;
pub mod speakers;
pub mod ssrc_table;
pub mod track_clock;

/// The RTP clock of Opus, in ticks a second (RFC 7587 §4.1).
pub const OPUS_CLOCK: u32 = 48_000;
