//! What the buffer hands out, and what it counts.

use std::time::Duration;

use super::EncodedFrame;

/// What to play next. `media` is the position of its first sample, in 48 kHz samples since the
/// first packet; it never goes back, and jumps forward only where a gap was not filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playout {
    /// Decode this packet.
    Frame {
        /// The packet.
        frame: EncodedFrame,
        /// Position of the first sample that is to be kept.
        media: u64,
        /// Duration the packet claims (or, if it is not Opus, that of the one before), 48 kHz
        /// samples: what to conceal if it cannot be decoded.
        samples: u32,
        /// Decoded samples to leave out at the start: that time has been played already.
        skip: u32,
        /// The source started anew: forget the decoder's history first.
        restarted: bool,
    },
    /// The packet before `next` is lost; decode the redundancy in `next`, which follows.
    Fec {
        /// The packet that carries the redundancy.
        next: EncodedFrame,
        /// Position of the first sample.
        media: u64,
        /// Samples to reconstruct, 48 kHz.
        samples: u32,
    },
    /// Nothing is known of this stretch: conceal it.
    Lost {
        /// Position of the first sample.
        media: u64,
        /// Samples to make up, 48 kHz.
        samples: u32,
    },
}

/// Counters since the buffer was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets taken in, duplicates excluded.
    pub received: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that came after their time had been played.
    pub late: u64,
    /// Packets that were not there when their turn came, late ones included.
    pub lost: u64,
    /// Lost packets reconstructed from redundancy.
    pub recovered: u64,
    /// Stretches concealed: lost packets without redundancy, and stalls.
    pub concealed: u64,
    /// Stretches of silence the sender left out.
    pub silent: u64,
    /// Packets pushed out because the buffer was full, or refused as implausible.
    pub discarded: u64,
    /// Times the source started anew.
    pub restarts: u64,
    /// How long a missing packet is waited for now.
    pub target_delay: Duration,
}
