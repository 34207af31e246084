//! VP8 payloads (RFC 7741 §4).

use super::codec::{PacketInfo, SwitchUp};
use super::descriptor::{ByteField, Descriptor, read_picture_id};

/// What a VP8 payload tells; `None` if it ends inside its descriptor. Where frames end is in the RTP
/// header.
pub(super) fn inspect(payload: &[u8]) -> Option<PacketInfo> {
    let first = *payload.first()?;
    // S bit and partition index: the first partition begins with the frame.
    let begins_frame = first & 0x17 == 0x10;
    let mut descriptor = Descriptor::default();
    let (mut temporal, mut switch_up) = (0, SwitchUp::No);
    let mut at = 1;
    if first & 0x80 != 0 {
        let present = *payload.get(at)?;
        at += 1;
        if present & 0x80 != 0 {
            let id = read_picture_id(payload, at)?;
            at += if id.wide { 2 } else { 1 };
            descriptor.picture_id = Some(id);
        }
        if present & 0x40 != 0 {
            descriptor.tl0_picture_index = Some(ByteField {
                at: at as u8,
                value: *payload.get(at)?,
            });
            at += 1;
        }
        if present & 0x30 != 0 {
            let layer = *payload.get(at)?;
            if present & 0x20 != 0 {
                temporal = layer >> 6;
                if layer & 0x20 != 0 {
                    switch_up = SwitchUp::Here;
                }
            }
            if present & 0x10 != 0 {
                descriptor.key_index = Some(ByteField {
                    at: at as u8,
                    value: layer & 0x1F,
                });
            }
            at += 1;
        }
    }
    let frame = *payload.get(at)?;
    Some(PacketInfo {
        keyframe: begins_frame && frame & 1 == 0,
        begins_frame,
        inter_picture: true,
        temporal,
        switch_up,
        descriptor,
        ..PacketInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::descriptor::Picture;
    use super::*;

    /// A keyframe's first packet as Chromium writes it: 15-bit picture id, TL0PICIDX, TID, KEYIDX.
    const KEYFRAME: [u8; 10] = [0x90, 0xF0, 0xA5, 0x5A, 7, 0x23, 0x10, 0x02, 0x00, 0x9D];

    #[test]
    fn reads_every_field_of_the_descriptor() {
        let info = inspect(&KEYFRAME).unwrap();
        assert!(info.keyframe && info.begins_frame);
        let id = info.descriptor.picture_id.unwrap();
        assert_eq!((id.value, id.wide, id.at), (0x255A, true, 2));
        assert_eq!(info.descriptor.tl0_picture_index.unwrap().value, 7);
        assert_eq!(info.descriptor.key_index.unwrap().value, 3);
        assert_eq!((info.temporal, info.switch_up), (0, SwitchUp::Here));

        // A delta frame of temporal layer 2, 7-bit picture id, not its first packet.
        let info = inspect(&[0x80, 0xE0, 0x11, 9, 0x80, 0x11]).unwrap();
        assert!(!info.keyframe && !info.begins_frame);
        assert_eq!(info.descriptor.picture_id.unwrap().value, 0x11);
        assert_eq!((info.temporal, info.switch_up), (2, SwitchUp::No));
        assert_eq!(info.descriptor.key_index, None);

        // The beginning of the second partition is not that of the frame.
        assert!(!inspect(&[0x11, 0x00]).unwrap().begins_frame);
        assert!(inspect(&[0x10, 0x00]).unwrap().keyframe);
        assert!(!inspect(&[0x10, 0x01]).unwrap().keyframe);
    }

    #[test]
    fn refuses_every_truncation() {
        for len in 0..7 {
            assert_eq!(inspect(&KEYFRAME[..len]), None);
        }
        assert!(inspect(&KEYFRAME[..7]).is_some());
    }

    #[test]
    fn numbers_are_replaced_in_place() {
        let mut payload = KEYFRAME;
        let picture = Picture {
            id: 0x1234,
            tl0: 200,
            key: 31,
            frame: 0,
        };
        inspect(&payload)
            .unwrap()
            .descriptor
            .patch(&mut payload, &picture);
        assert_eq!(
            payload,
            [0x90, 0xF0, 0x92, 0x34, 200, 0x3F, 0x10, 0x02, 0x00, 0x9D]
        );
        let mut narrow = [0x80, 0x80, 0x11, 0x01];
        inspect(&narrow)
            .unwrap()
            .descriptor
            .patch(&mut narrow, &picture);
        assert_eq!(narrow, [0x80, 0x80, 0x34, 0x01]);
    }
}
