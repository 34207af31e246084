//! Picture numbers that go on over switches of streams and over dropped temporal layers.

use super::codec::PacketInfo;
use super::descriptor::{Picture, PictureId};
use super::renumber::Renumber;

/// Rewrites picture ids, TL0PICIDX, KEYIDX and frame numbers. Receivers take a gap in the first for
/// loss, and any of them running backwards for old news.
#[derive(Debug)]
pub(super) struct Pictures {
    ids: Renumber,
    /// The newest picture id that came in, extended.
    newest_id: Option<u64>,
    tl0_shift: u8,
    key_shift: u8,
    frame_shift: u16,
    /// The newest numbers sent; `None` before anything was.
    last: Option<Picture>,
}

impl Pictures {
    pub(super) fn new() -> Pictures {
        Pictures {
            ids: Renumber::new(),
            newest_id: None,
            tl0_shift: 0,
            key_shift: 0,
            frame_shift: 0,
            last: None,
        }
    }

    /// Goes on with another stream, or one whose numbers start anew, from the packet of `info`.
    pub(super) fn start(&mut self, info: &PacketInfo) {
        let descriptor = &info.descriptor;
        self.newest_id = None;
        if let Some(id) = descriptor.picture_id {
            self.start_ids(id);
        }
        let Some(last) = self.last else {
            return;
        };
        if let Some(field) = descriptor.tl0_picture_index {
            self.tl0_shift = last.tl0.wrapping_add(1).wrapping_sub(field.value);
        }
        if let Some(field) = descriptor.key_index {
            self.key_shift = last.key.wrapping_add(1).wrapping_sub(field.value);
        }
        if let Some(frame) = info.dependency {
            self.frame_shift = last.frame.wrapping_add(1).wrapping_sub(frame.number);
        }
    }

    /// The numbers that a packet is sent with which no later one precedes.
    pub(super) fn keep(&mut self, info: &PacketInfo) -> Picture {
        let mut picture = self.shifted(info);
        if let Some(id) = info.descriptor.picture_id {
            let number = self.extend(id);
            picture.id = if self.is_new(number) {
                self.newest_id = Some(number);
                self.ids.keep(number) as u16
            } else {
                match self.ids.lookup(number) {
                    Some(out) if !info.keyframe || number == self.ids.highest() => out as u16,
                    // The sender began to count anew.
                    _ => {
                        self.start_ids(id);
                        self.keep_started(id)
                    }
                }
            };
        }
        self.last = Some(picture);
        picture
    }

    /// The numbers that a packet is sent with behind later ones; `None` if its picture was dropped
    /// or is too old.
    pub(super) fn late(&mut self, info: &PacketInfo) -> Option<Picture> {
        let mut picture = self.shifted(info);
        if let Some(id) = info.descriptor.picture_id {
            let number = self.extend(id);
            picture.id = self.ids.lookup(number)? as u16;
        }
        Some(picture)
    }

    /// Takes note that the picture of `info` is not sent, where pictures may be left out unnoticed.
    pub(super) fn drop(&mut self, info: &PacketInfo) {
        if let Some(id) = info.descriptor.picture_id {
            let number = self.extend(id);
            if self.is_new(number) {
                self.newest_id = Some(number);
                self.ids.drop(number);
            }
        }
    }

    fn shifted(&self, info: &PacketInfo) -> Picture {
        let descriptor = &info.descriptor;
        // What a packet does not have goes on from the last that had it.
        let last = self.last.unwrap_or_default();
        Picture {
            id: last.id,
            tl0: descriptor
                .tl0_picture_index
                .map_or(last.tl0, |field| field.value.wrapping_add(self.tl0_shift)),
            key: descriptor
                .key_index
                .map_or(last.key, |field| field.value.wrapping_add(self.key_shift)),
            frame: info.dependency.map_or(last.frame, |frame| {
                frame.number.wrapping_add(self.frame_shift)
            }),
        }
    }

    fn start_ids(&mut self, id: PictureId) {
        let out = match self.last {
            Some(last) => u64::from(last.id) + 1,
            None => u64::from(id.value),
        };
        // One cycle up, so that earlier pictures have numbers too.
        let first = 0x1_0000 + u64::from(id.value);
        self.ids.start(first, 0x1_0000 + out);
        self.newest_id = Some(first);
    }

    fn keep_started(&mut self, id: PictureId) -> u16 {
        self.ids.keep(0x1_0000 + u64::from(id.value)) as u16
    }

    fn is_new(&self, number: u64) -> bool {
        number > self.ids.highest()
    }

    /// The number with the value `id` that is nearest to the newest.
    fn extend(&mut self, id: PictureId) -> u64 {
        let Some(newest) = self.newest_id else {
            self.start_ids(id);
            return 0x1_0000 + u64::from(id.value);
        };
        let bits = if id.wide { 15 } else { 7 };
        let ahead = u64::from(id.value).wrapping_sub(newest) & ((1 << bits) - 1);
        if ahead < 1 << (bits - 1) {
            newest + ahead
        } else {
            (newest + ahead).saturating_sub(1 << bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::descriptor::{ByteField, Descriptor};
    use super::*;

    fn vp8(id: u16, tl0: u8) -> PacketInfo {
        PacketInfo {
            descriptor: Descriptor {
                picture_id: Some(PictureId {
                    at: 2,
                    value: id,
                    wide: true,
                }),
                tl0_picture_index: Some(ByteField { at: 4, value: tl0 }),
                key_index: None,
            },
            ..PacketInfo::default()
        }
    }

    fn narrow(id: u16) -> PacketInfo {
        let mut info = vp8(id, 0);
        if let Some(id) = &mut info.descriptor.picture_id {
            id.wide = false;
        }
        info
    }

    #[test]
    fn pictures_go_on_over_drops_wraps_and_switches() {
        let mut pictures = Pictures::new();
        pictures.start(&vp8(0x7FFE, 254));
        let first = pictures.keep(&vp8(0x7FFE, 254));
        assert_eq!((first.id & 0x7FFF, first.tl0), (0x7FFE, 254));
        pictures.drop(&vp8(0x7FFF, 254));
        pictures.drop(&vp8(0x7FFF, 254));
        assert_eq!(pictures.keep(&vp8(0, 255)).id & 0x7FFF, 0x7FFF);
        // Picture 1 is missing, and comes late.
        assert_eq!(pictures.keep(&vp8(2, 0)).id & 0x7FFF, 1);
        assert_eq!(pictures.late(&vp8(1, 255)).unwrap().id & 0x7FFF, 0);
        assert_eq!(pictures.late(&vp8(0x7FFF, 254)), None);
        assert_eq!(pictures.late(&vp8(0x7FF0, 254)), None);

        pictures.start(&vp8(500, 77));
        let switched = pictures.keep(&vp8(500, 77));
        assert_eq!((switched.id & 0x7FFF, switched.tl0), (2, 1));
        assert_eq!(pictures.keep(&vp8(501, 78)).id & 0x7FFF, 3);
    }

    #[test]
    fn seven_bits_wrap_too() {
        let mut pictures = Pictures::new();
        pictures.start(&narrow(126));
        let ids: Vec<_> = [126, 127, 0, 2, 1]
            .map(|id| match id {
                1 => pictures.late(&narrow(id)).unwrap().id & 0x7F,
                _ => pictures.keep(&narrow(id)).id & 0x7F,
            })
            .into();
        assert_eq!(ids, [126, 127, 0, 2, 1]);
    }

    #[test]
    fn a_sender_that_counts_anew_is_followed() {
        let mut pictures = Pictures::new();
        pictures.start(&vp8(3000, 5));
        assert_eq!(pictures.keep(&vp8(3000, 5)).id, 3000);
        let mut keyframe = vp8(20, 0);
        keyframe.keyframe = true;
        assert_eq!(pictures.keep(&keyframe).id, 3001);
        assert_eq!(pictures.keep(&vp8(20, 0)).id, 3001);
        assert_eq!(pictures.keep(&vp8(21, 1)).id, 3002);
    }
}
