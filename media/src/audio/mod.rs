//! Speech between the network and the models: de-jittering, Opus, resampling and mixing.
//!
//! Nothing here owns a thread, a socket or a clock; the time is an argument of every call that
//! needs it. One speaker's way in is [`reader::SpeechDecoder`]; one language channel's way out is
//! [`mixer::ChannelMixer`] followed by [`opus::Encoder`].

pub mod frame;
pub mod jitter;
pub mod level;
pub mod mixer;
pub mod opus;
pub mod packet;
pub mod reader;
pub mod resample;

#[cfg(test)]
mod netsim;

pub use frame::EncodedFrame;

/// Samples a second of everything that is encoded, decoded or mixed, Hz.
pub const RATE: u32 = 48_000;

/// Samples in one 20 ms frame at [`RATE`].
pub const FRAME: usize = 960;
