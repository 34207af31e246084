//! The outbound direction.

use super::cipher::Cipher;

/// Protects what is sent to one peer. Packet indices are the caller's, since the caller rewrites
/// sequence numbers anyway and a retransmission must repeat the index it had.
pub struct Protect {
    cipher: Cipher,
    rtcp_index: u32,
}

impl Protect {
    pub(super) fn new(cipher: Cipher) -> Protect {
        Protect {
            cipher,
            rtcp_index: 0,
        }
    }

    /// Protects the RTP packet `packet[..len]` in place.
    ///
    /// `header` is the length of its header with extensions, in bytes; `index` its 48-bit packet
    /// index (rollover counter and sequence number). `packet` needs [`super::MAX_TAG`] bytes of room
    /// behind `len`. Returns the protected length.
    pub fn rtp(
        &self,
        packet: &mut [u8],
        header: usize,
        len: usize,
        ssrc: u32,
        index: u64,
    ) -> usize {
        self.cipher.seal_rtp(packet, header, len, ssrc, index)
    }

    /// Protects the RTCP compound `packet[..len]`, at least 8 bytes, in place.
    ///
    /// `packet` needs [`super::MAX_RTCP_TRAILER`] bytes of room behind `len`. Returns the protected
    /// length.
    pub fn rtcp(&mut self, packet: &mut [u8], len: usize) -> usize {
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        self.rtcp_index = (self.rtcp_index + 1) & 0x7FFF_FFFF;
        self.cipher.seal_rtcp(packet, len, ssrc, self.rtcp_index)
    }
}
