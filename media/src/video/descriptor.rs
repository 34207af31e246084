//! The running numbers of a payload descriptor: where they are, and writing others in their place.

/// The numbers of a VP8 or VP9 payload descriptor that a subscriber must see without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Numbers the pictures.
    pub picture_id: Option<PictureId>,
    /// Numbers the pictures of the lowest temporal layer.
    pub tl0_picture_index: Option<ByteField>,
    /// Numbers the keyframes (VP8 only): 5 bits of its byte.
    pub key_index: Option<ByteField>,
}

/// A picture id in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// Offset in the payload, in bytes.
    pub at: u8,
    /// Its value.
    pub value: u16,
    /// Whether it has 15 bits, not 7.
    pub wide: bool,
}

/// A number within one byte of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteField {
    /// Offset in the payload, in bytes.
    pub at: u8,
    /// Its value.
    pub value: u8,
}

/// The numbers that one packet has at one subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// Picture id, of which the packet has the low 7 or 15 bits.
    pub(super) id: u16,
    /// TL0PICIDX.
    pub(super) tl0: u8,
    /// KEYIDX, low 5 bits.
    pub(super) key: u8,
    /// Frame number of the dependency descriptor.
    pub(super) frame: u16,
}

impl Descriptor {
    /// Writes the numbers of `picture` into `payload`, which this was read from. The length stays.
    pub(super) fn patch(&self, payload: &mut [u8], picture: &Picture) {
        if let Some(field) = self.picture_id {
            let at = usize::from(field.at);
            match payload.get_mut(at..) {
                Some([high, low, ..]) if field.wide => {
                    [*high, *low] = (picture.id | 0x8000).to_be_bytes();
                }
                Some([id, ..]) if !field.wide => *id = picture.id as u8 & 0x7F,
                _ => {}
            }
        }
        if let Some(field) = self.tl0_picture_index
            && let Some(byte) = payload.get_mut(usize::from(field.at))
        {
            *byte = picture.tl0;
        }
        if let Some(field) = self.key_index
            && let Some(byte) = payload.get_mut(usize::from(field.at))
        {
            *byte = *byte & 0xE0 | picture.key & 0x1F;
        }
    }
}

/// Reads the picture id at `at`, which both VP8 and VP9 write as 7 bits, or as 15 behind a set bit.
pub(super) fn read_picture_id(payload: &[u8], at: usize) -> Option<PictureId> {
    let first = *payload.get(at)?;
    let wide = first & 0x80 != 0;
    let value = if wide {
        u16::from_be_bytes([first & 0x7F, *payload.get(at + 1)?])
    } else {
        u16::from(first)
    };
    Some(PictureId {
        at: at as u8,
        value,
        wide,
    })
}
