//! The payload of a VP8 packet (RFC 7741): its descriptor, the head of a frame (RFC 6386 §9.1), and a
//! stamp in place of an image.

/// Bytes of the descriptor: two, and a picture id of 15 bits.
const DESCRIPTOR: usize = 4;

/// Bytes of the head of a frame, that of a keyframe with its start code and size.
const HEAD: usize = 3;
const KEYFRAME_HEAD: usize = 10;

/// Bytes of the stamp.
const STAMP: usize = 9;

/// The smallest payload.
pub const SMALLEST: usize = DESCRIPTOR + KEYFRAME_HEAD + STAMP;

/// What stands in place of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The layer, low to high.
    pub layer: u8,
    /// When the frame was made, µs of the run.
    pub made_us: u64,
}

/// Everything that one packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Whether it is the first of its picture.
    pub start: bool,
    /// The picture's number, 15 bits.
    pub picture: u16,
    /// Width and height if it is the first of a keyframe.
    pub keyframe: Option<(u16, u16)>,
    /// The stamp.
    pub stamp: Stamp,
}

impl Payload {
    /// The packet's payload, filled up to `length`.
    pub fn write(&self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length.max(SMALLEST));
        // X, and S where a partition begins; then I with the M bit of a long number.
        bytes.push(0x80 | u8::from(self.start) << 4);
        bytes.push(0x80);
        bytes.extend((self.picture | 0x8000).to_be_bytes());
        if self.start {
            // show_frame, version 0, and P: 0 for a keyframe.
            bytes.extend([0x10 | u8::from(self.keyframe.is_none()), 0x02, 0x00]);
        }
        if let Some((width, height)) = self.keyframe.filter(|_| self.start) {
            bytes.extend([0x9d, 0x01, 0x2a]);
            bytes.extend((width & 0x3fff).to_le_bytes());
            bytes.extend((height & 0x3fff).to_le_bytes());
        }
        bytes.push(self.stamp.layer);
        bytes.extend(self.stamp.made_us.to_be_bytes());
        bytes.resize(length.max(bytes.len()), 0x55);
        bytes
    }

    /// Read a payload, whatever optional fields its descriptor has; none if it is no such payload.
    pub fn read(bytes: &[u8]) -> Option<Payload> {
        let first = *bytes.first()?;
        let start = first & 0x10 != 0 && first & 0x07 == 0;
        let mut at = 1;
        let mut picture = None;
        if first & 0x80 != 0 {
            let present = *bytes.get(at)?;
            at += 1;
            if present & 0x80 != 0 {
                let high = *bytes.get(at)?;
                picture = Some(match high & 0x80 {
                    0 => u16::from(high),
                    _ => u16::from_be_bytes([high & 0x7f, *bytes.get(at + 1)?]),
                });
                at += if high & 0x80 != 0 { 2 } else { 1 };
            }
            // TL0PICIDX, and TID with KEYIDX.
            at += usize::from(present & 0x40 != 0);
            at += usize::from(present & 0x30 != 0);
        }
        let mut keyframe = None;
        if start {
            let head = bytes.get(at..at + HEAD)?;
            let inter = head[0] & 1 == 1;
            if !inter {
                let head = bytes.get(at..at + KEYFRAME_HEAD)?;
                let size = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]) & 0x3fff;
                keyframe = (head[3..6] == [0x9d, 0x01, 0x2a]).then(|| (size(6), size(8)));
                keyframe?;
            }
            at += if inter { HEAD } else { KEYFRAME_HEAD };
        }
        let stamp = bytes.get(at..at + STAMP)?;
        let (layer, made) = stamp.split_first()?;
        Some(Payload {
            start,
            picture: picture?,
            keyframe,
            stamp: Stamp {
                layer: *layer,
                made_us: u64::from_be_bytes(*made.first_chunk()?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        layer: 2,
        made_us: 1_234_567_890,
    };

    fn payload(start: bool, keyframe: bool) -> Payload {
        Payload {
            start,
            picture: 0x7ffe,
            keyframe: keyframe.then_some((1280, 720)),
            stamp: STAMP,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (start, keyframe) in [(true, true), (true, false), (false, false)] {
            let written = payload(start, keyframe);
            let bytes = written.write(500);
            assert_eq!(bytes.len(), 500);
            assert_eq!(Payload::read(&bytes), Some(written));
        }
    }

    #[test]
    fn a_keyframe_starts_as_rfc_6386_says() {
        let bytes = payload(true, true).write(0);
        assert_eq!(bytes[4] & 1, 0, "P is 0");
        assert_eq!(bytes[7..10], [0x9d, 0x01, 0x2a]);
        assert_eq!(payload(true, false).write(0)[4] & 1, 1);
    }

    #[test]
    fn a_descriptor_with_more_fields_is_read_past() {
        let mut bytes = payload(true, false).write(100);
        // L, T and K with their two bytes after the picture id.
        bytes[1] = 0xf0;
        bytes.splice(4..4, [7, 0x20]);
        assert_eq!(Payload::read(&bytes), Some(payload(true, false)));
        // A short picture id.
        bytes[2] = 0x05;
        bytes.remove(3);
        assert_eq!(Payload::read(&bytes).map(|it| it.picture), Some(5));
    }

    #[test]
    fn what_is_cut_short_is_no_payload() {
        let bytes = payload(true, true).write(0);
        for length in 0..bytes.len() {
            assert_eq!(Payload::read(&bytes[..length]), None, "{length}");
        }
    }
}
