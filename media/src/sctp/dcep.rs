//! The Data Channel Establishment Protocol (RFC 8832).

use bytes::{BufMut, Bytes, BytesMut};

use super::packet::{u16_at, u32_at};

const ACK: u8 = 2;
const OPEN: u8 = 3;

/// The bit of a channel type that says that order does not matter.
const UNORDERED: u8 = 0x80;

/// The longest label, in bytes. The protocol allows 65535.
pub(crate) const MAX_LABEL: usize = 256;

/// How hard a message is tried to be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reliability {
    /// Until the peer has it.
    #[default]
    Reliable,
    /// It is sent again at most this often.
    Retransmits(u32),
    /// It is sent again for at most this many milliseconds.
    Lifetime(u32),
}

/// What a channel is like; both of its directions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelParameters {
    /// At most [`MAX_LABEL`] bytes. Labels need not be unique.
    pub(crate) label: String,
    /// Whether messages arrive in the order they were sent.
    pub(crate) ordered: bool,
    /// Whether they all arrive.
    pub(crate) reliability: Reliability,
}

/// A message of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dcep {
    Open(ChannelParameters),
    Ack,
}

impl Dcep {
    /// None if the message is malformed, unknown, or its label is longer than [`MAX_LABEL`].
    pub(super) fn parse(bytes: &[u8]) -> Option<Dcep> {
        match *bytes.first()? {
            ACK => Some(Dcep::Ack),
            OPEN => {
                let kind = *bytes.get(1)?;
                let parameter = u32_at(bytes, 4)?;
                let label_len = usize::from(u16_at(bytes, 8)?);
                let protocol_len = usize::from(u16_at(bytes, 10)?);
                if label_len > MAX_LABEL || bytes.len() < 12 + label_len + protocol_len {
                    return None;
                }
                let label = std::str::from_utf8(&bytes[12..12 + label_len]).ok()?;
                Some(Dcep::Open(ChannelParameters {
                    label: label.to_owned(),
                    ordered: kind & UNORDERED == 0,
                    reliability: match kind & !UNORDERED {
                        0 => Reliability::Reliable,
                        1 => Reliability::Retransmits(parameter),
                        2 => Reliability::Lifetime(parameter),
                        _ => return None,
                    },
                }))
            }
            _ => None,
        }
    }

    /// The message's bytes. A label is cut at 65535 bytes.
    pub(super) fn write(&self) -> Bytes {
        let Dcep::Open(channel) = self else {
            return Bytes::from_static(&[ACK]);
        };
        let (kind, parameter) = match channel.reliability {
            Reliability::Reliable => (0, 0),
            Reliability::Retransmits(times) => (1, times),
            Reliability::Lifetime(ms) => (2, ms),
        };
        let label_len = u16::try_from(channel.label.len()).unwrap_or(u16::MAX);
        let mut bytes = BytesMut::with_capacity(12 + channel.label.len());
        bytes.put_u8(OPEN);
        bytes.put_u8(kind | if channel.ordered { 0 } else { UNORDERED });
        bytes.put_u16(0);
        bytes.put_u32(parameter);
        bytes.put_u16(label_len);
        bytes.put_u16(0);
        bytes.put_slice(&channel.label.as_bytes()[..usize::from(label_len)]);
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for ordered in [true, false] {
            for reliability in [
                Reliability::Reliable,
                Reliability::Retransmits(0),
                Reliability::Retransmits(u32::MAX),
                Reliability::Lifetime(150),
            ] {
                let open = Dcep::Open(ChannelParameters {
                    label: "_löss".to_owned(),
                    ordered,
                    reliability,
                });
                assert_eq!(Dcep::parse(&open.write()), Some(open));
            }
        }
        assert_eq!(Dcep::parse(&Dcep::Ack.write()), Some(Dcep::Ack));
    }

    /// As Chrome sends it for `createDataChannel("_lossy", {ordered: false, maxRetransmits: 0,
    /// protocol: "x"})`.
    #[test]
    fn a_browser_s_open_message() {
        let bytes = b"\x03\x81\x01\x00\x00\x00\x00\x00\x00\x06\x00\x01_lossyx";
        assert_eq!(
            Dcep::parse(bytes),
            Some(Dcep::Open(ChannelParameters {
                label: "_lossy".to_owned(),
                ordered: false,
                reliability: Reliability::Retransmits(0),
            }))
        );
        for len in 0..bytes.len() {
            assert_eq!(Dcep::parse(&bytes[..len]), None, "{len}");
        }
    }

    #[test]
    fn long_labels_other_encodings_and_unknown_kinds_are_refused() {
        let open = |kind: u8, label: &[u8]| {
            let mut bytes = vec![3, kind, 0, 0, 0, 0, 0, 0];
            bytes.extend((label.len() as u16).to_be_bytes());
            bytes.extend([0, 0]);
            bytes.extend(label);
            Dcep::parse(&bytes)
        };
        assert!(open(0, &[b'a'; MAX_LABEL]).is_some());
        assert!(open(0, &[b'a'; MAX_LABEL + 1]).is_none());
        assert!(open(0, b"\xFF").is_none());
        assert!(open(3, b"a").is_none());
        assert!(Dcep::parse(&[9]).is_none());
    }
}
