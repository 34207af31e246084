//! The RTP header (RFC 3550 §5.1), as offsets into the packet.

/// A datagram that is not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not version 2.
    #[error("the RTP version is not 2")]
    Version,
    /// Shorter than its own header says.
    #[error("the RTP packet ends inside its header")]
    Truncated,
    /// More padding than payload.
    #[error("the RTP padding is longer than the payload")]
    Padding,
}

/// Where the parts of an RTP packet are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The padding bit.
    pub padding: bool,
    /// The marker bit: for audio, the first packet after silence.
    pub marker: bool,
    /// Payload type, 0–127.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: u16,
    /// Media timestamp, in ticks of the codec's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Extension block: its profile word, and the offsets of its data in the packet.
    pub extension: Option<ExtensionBlock>,
    /// Bytes before the payload: fixed header, contributing sources and extensions.
    pub len: usize,
}

/// Where a header extension block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionBlock {
    /// `0xBEDE` for one-byte ids, `0x100X` for two-byte ids (RFC 8285).
    pub profile: u16,
    /// Offset of the first element in the packet, in bytes.
    pub start: usize,
    /// Offset behind the last element.
    pub end: usize,
}

impl Header {
    /// Reads the header of `packet`, which may still be encrypted: SRTP leaves headers in clear.
    ///
    /// # Errors
    ///
    /// See [`HeaderError`].
    pub fn parse(packet: &[u8]) -> Result<Header, HeaderError> {
        let fixed: &[u8; 12] = packet.first_chunk().ok_or(HeaderError::Truncated)?;
        if fixed[0] >> 6 != 2 {
            return Err(HeaderError::Version);
        }
        let mut len = 12 + usize::from(fixed[0] & 0x0F) * 4;
        let extension = if fixed[0] & 0x10 != 0 {
            let head = packet.get(len..len + 4).ok_or(HeaderError::Truncated)?;
            let profile = u16::from_be_bytes([head[0], head[1]]);
            let start = len + 4;
            let end = start + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            len = end;
            Some(ExtensionBlock {
                profile,
                start,
                end,
            })
        } else {
            None
        };
        if packet.len() < len {
            return Err(HeaderError::Truncated);
        }
        Ok(Header {
            padding: fixed[0] & 0x20 != 0,
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            seq: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            extension,
            len,
        })
    }

    /// The payload of the decrypted `packet` this header was read from, without padding.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Padding`] if the padding count is zero or larger than the payload.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Result<&'a [u8], HeaderError> {
        let payload = packet.get(self.len..).ok_or(HeaderError::Truncated)?;
        if !self.padding {
            return Ok(payload);
        }
        let count = usize::from(*payload.last().ok_or(HeaderError::Padding)?);
        if count == 0 || count > payload.len() {
            return Err(HeaderError::Padding);
        }
        Ok(&payload[..payload.len() - count])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sources_extensions_and_padding() {
        let mut packet = vec![0xB1, 0x80 | 111, 0x12, 0x34, 0, 0, 3, 0xC0, 0, 0, 0, 9];
        packet.extend([0, 0, 0, 7]);
        packet.extend([0xBE, 0xDE, 0, 1, 0x10, 0x2A, 0, 0]);
        packet.extend([1, 2, 3, 0, 0, 3]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.len, 24);
        assert!(header.marker && header.padding);
        assert_eq!((header.payload_type, header.seq), (111, 0x1234));
        assert_eq!((header.timestamp, header.ssrc), (960, 9));
        let block = header.extension.unwrap();
        assert_eq!((block.profile, block.start, block.end), (0xBEDE, 20, 24));
        assert_eq!(header.payload(&packet).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn refuses_every_truncation_and_bad_padding() {
        let packet = [
            0x91, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0xBE, 0xDE, 0, 1, 0, 0, 0, 0,
        ];
        for len in 0..packet.len() {
            assert_eq!(Header::parse(&packet[..len]), Err(HeaderError::Truncated));
        }
        assert!(Header::parse(&packet).is_ok());
        assert_eq!(Header::parse(&[0x40; 12]), Err(HeaderError::Version));
        let padded = [0xA0, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 5, 9];
        let header = Header::parse(&padded).unwrap();
        assert_eq!(header.payload(&padded), Err(HeaderError::Padding));
        assert_eq!(header.payload(&padded[..12]), Err(HeaderError::Padding));
    }
}
