//! The unit of encoded audio that leaves the transport and enters the decoders.

use std::time::Instant;

use bytes::Bytes;

/// One Opus packet as it was received from a speaker, still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    /// RTP sequence number as the sender wrote it; wraps.
    pub seq: u16,
    /// RTP timestamp as the sender wrote it, in units of 1/48000 s; wraps.
    pub timestamp: u32,
    /// The Opus packet. Empty or one byte long while the sender is silent (DTX).
    pub payload: Bytes,
    /// When the datagram was read from the socket, on this process's monotonic clock.
    pub arrival: Instant,
}
