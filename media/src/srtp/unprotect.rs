//! The inbound direction.

use std::collections::HashMap;

use super::cipher::Cipher;
use super::replay::ReplayWindow;

/// How many synchronisation sources of one peer are remembered. A published simulcast video with RTX
/// needs six.
const MAX_STREAMS: usize = 128;

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
}

/// Checks and decrypts what one peer sends. State for a source is made only after a packet of it has
/// been authenticated, so that forged packets cost no memory. A client that publishes again and again
/// uses ever new sources; the one that was silent the longest is forgotten then.
pub struct Unprotect {
    cipher: Cipher,
    rtp: HashMap<u32, Source<16>>,
    rtcp: HashMap<u32, Source<2>>,
    /// Counts packets.
    clock: u64,
}

/// What is known of one source.
struct Source<const WORDS: usize> {
    window: Box<ReplayWindow<WORDS>>,
    /// When its last packet came, by the clock.
    heard: u64,
}

impl<const WORDS: usize> Source<WORDS> {
    /// Remembers a source from its first packet on, with `index`.
    fn add(sources: &mut HashMap<u32, Source<WORDS>>, ssrc: u32, index: u64, heard: u64) {
        if sources.len() >= MAX_STREAMS
            && let Some(silent) = sources.iter().min_by_key(|(_, source)| source.heard)
        {
            let silent = *silent.0;
            sources.remove(&silent);
        }
        let mut window = Box::new(ReplayWindow::new());
        window.accept(index);
        sources.insert(ssrc, Source { window, heard });
    }
}

impl Unprotect {
    pub(super) fn new(cipher: Cipher) -> Unprotect {
        Unprotect {
            cipher,
            rtp: HashMap::new(),
            rtcp: HashMap::new(),
            clock: 0,
        }
    }

    /// How many sources are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.rtp.len() + self.rtcp.len()
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
        let known = self.rtp.get_mut(&ssrc);
        let highest = known.as_ref().and_then(|source| source.window.highest());
        let index = estimate_index(highest, seq);
        if known
            .as_ref()
            .is_some_and(|source| !source.window.is_fresh(index))
        {
            return Err(UnprotectError::Replayed);
        }
        let len = self
            .cipher
            .open_rtp(packet, header, ssrc, index)
            .map_err(|_| UnprotectError::Forged)?;
        self.clock += 1;
        match known {
            Some(source) => {
                source.window.accept(index);
                source.heard = self.clock;
            }
            None => Source::add(&mut self.rtp, ssrc, index, self.clock),
        }
        Ok(len)
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
        let known = self.rtcp.get_mut(&ssrc);
        if known
            .as_ref()
            .is_some_and(|source| !source.window.is_fresh(index))
        {
            return Err(UnprotectError::Replayed);
        }
        let len = self
            .cipher
            .open_rtcp(packet, ssrc, word)
            .map_err(|_| UnprotectError::Forged)?;
        self.clock += 1;
        match known {
            Some(source) => {
                source.window.accept(index);
                source.heard = self.clock;
            }
            None => Source::add(&mut self.rtcp, ssrc, index, self.clock),
        }
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
