//! The inbound direction.

use std::collections::HashMap;

use super::cipher::Cipher;
use super::replay::ReplayWindow;

/// How many synchronisation sources one peer may use. A published simulcast video with RTX needs
/// seven; the rest is room for sources that restart.
const MAX_STREAMS: usize = 64;

/// Why a packet was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnprotectError {
    /// Shorter than its header and tag.
    #[error("the packet is shorter than its header and authentication tag")]
    TooShort,
    /// Seen before, or too old to tell.
    #[error("the packet was received before or is older than the replay window")]
    Replayed,
    /// The tag does not match.
    #[error("the packet's authentication tag does not match the keys of its sender")]
    Forged,
    /// The peer uses more sources than any client needs.
    #[error("the peer has used up its {MAX_STREAMS} synchronisation sources")]
    TooManyStreams,
}

/// Checks and decrypts what one peer sends. State for a source is made only after a packet of it has
/// been authenticated, so that forged packets cost no memory.
pub struct Unprotect {
    cipher: Cipher,
    pub(super) rtp: HashMap<u32, Box<ReplayWindow<16>>>,
    rtcp: HashMap<u32, ReplayWindow<2>>,
}

impl Unprotect {
    pub(super) fn new(cipher: Cipher) -> Unprotect {
        Unprotect {
            cipher,
            rtp: HashMap::new(),
            rtcp: HashMap::new(),
        }
    }

    /// Checks and decrypts an SRTP packet in place.
    ///
    /// `header` is the length of its header with extensions, in bytes. Returns the length without
    /// the tag.
    ///
    /// # Errors
    ///
    /// See [`UnprotectError`]; the packet's payload is then unspecified.
    pub fn rtp(
        &mut self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        seq: u16,
    ) -> Result<usize, UnprotectError> {
        if packet.len() < header + self.cipher.tag_len() {
            return Err(UnprotectError::TooShort);
        }
        match self.rtp.get_mut(&ssrc) {
            Some(window) => {
                let index = estimate_index(window.highest(), seq);
                if !window.is_fresh(index) {
                    return Err(UnprotectError::Replayed);
                }
                let len = self
                    .cipher
                    .open_rtp(packet, header, ssrc, index)
                    .map_err(|_| UnprotectError::Forged)?;
                window.accept(index);
                Ok(len)
            }
            None => {
                if self.rtp.len() >= MAX_STREAMS {
                    return Err(UnprotectError::TooManyStreams);
                }
                let index = estimate_index(None, seq);
                let len = self
                    .cipher
                    .open_rtp(packet, header, ssrc, index)
                    .map_err(|_| UnprotectError::Forged)?;
                let mut window = Box::new(ReplayWindow::new());
                window.accept(index);
                self.rtp.insert(ssrc, window);
                Ok(len)
            }
        }
    }

    /// Checks and decrypts an SRTCP packet in place. Returns the length of the RTCP compound.
    ///
    /// # Errors
    ///
    /// See [`UnprotectError`].
    pub fn rtcp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let word = self
            .cipher
            .rtcp_index(packet)
            .ok_or(UnprotectError::TooShort)?;
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let index = u64::from(word & 0x7FFF_FFFF);
        let known = self.rtcp.get(&ssrc);
        if known.is_some_and(|window| !window.is_fresh(index)) {
            return Err(UnprotectError::Replayed);
        }
        if known.is_none() && self.rtcp.len() >= MAX_STREAMS {
            return Err(UnprotectError::TooManyStreams);
        }
        let len = self
            .cipher
            .open_rtcp(packet, ssrc, word)
            .map_err(|_| UnprotectError::Forged)?;
        self.rtcp
            .entry(ssrc)
            .or_insert_with(ReplayWindow::new)
            .accept(index);
        Ok(len)
    }
}

/// The 48-bit index that `seq` most likely has (RFC 3711 §3.3.1, appendix A).
fn estimate_index(highest: Option<u64>, seq: u16) -> u64 {
    let Some(highest) = highest else {
        return u64::from(seq);
    };
    let rollover = highest >> 16;
    let ahead = seq.wrapping_sub(highest as u16);
    if ahead < 0x8000 {
        highest + u64::from(ahead)
    } else {
        let behind = u64::from((highest as u16).wrapping_sub(seq));
        // A source that starts near zero may be followed by a late packet from before it: there is
        // no rollover to take back, so the packet is taken at face value.
        highest
            .checked_sub(behind)
            .unwrap_or((rollover << 16) | u64::from(seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_follows_the_sequence_number_over_wraps() {
        assert_eq!(estimate_index(None, 65_530), 65_530);
        assert_eq!(estimate_index(Some(65_530), 2), 65_538);
        assert_eq!(estimate_index(Some(65_538), 65_531), 65_531);
        assert_eq!(estimate_index(Some(3), 65_535), 65_535);
    }
}
