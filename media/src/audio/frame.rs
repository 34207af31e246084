//! One encoded audio packet on its way to a decoder.

use std::time::Instant;

use bytes::Bytes;

/// One RTP packet's worth of Opus, as it came from the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// RTP sequence number.
    pub seq: u16,
    /// RTP timestamp of the first sample, 48 kHz units (RFC 7587 §4.1).
    pub timestamp: u32,
    /// The Opus packet: RTP payload without padding.
    pub payload: Bytes,
    /// When the datagram was received.
    pub arrival: Instant,
}
