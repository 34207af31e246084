//! What a client does with sound: WAV files, sample rates, Opus, playing out what arrived.

pub mod opus;
pub mod playout;
pub mod resample;
pub mod wav;

/// Sample rate of Opus and of every WAV this program writes, Hz.
pub const RATE: u32 = 48_000;

/// Samples of a 20 ms frame at [`RATE`].
pub const FRAME: usize = 960;
