//! VP9 payloads (RFC 9628 §4).

use super::codec::{PacketInfo, SwitchUp};
use super::descriptor::{ByteField, Descriptor, read_picture_id};

/// What a VP9 payload tells; `None` if it ends inside its descriptor.
pub(super) fn inspect(payload: &[u8]) -> Option<PacketInfo> {
    let first = *payload.first()?;
    let has = |bit: u8| first & bit != 0;
    let (inter_picture, flexible) = (has(0x40), has(0x10));
    let (begins_frame, ends_frame) = (has(0x08), has(0x04));
    let mut descriptor = Descriptor::default();
    let (mut temporal, mut spatial, mut switch_up) = (0, 0, SwitchUp::No);
    let mut at = 1;
    if has(0x80) {
        let id = read_picture_id(payload, at)?;
        at += if id.wide { 2 } else { 1 };
        descriptor.picture_id = Some(id);
    }
    if has(0x20) {
        let layer = *payload.get(at)?;
        at += 1;
        temporal = layer >> 5;
        spatial = layer >> 1 & 7;
        if layer & 0x10 != 0 {
            switch_up = SwitchUp::After;
        }
        if !flexible {
            descriptor.tl0_picture_index = Some(ByteField {
                at: at as u8,
                value: *payload.get(at)?,
            });
            at += 1;
        }
    }
    if flexible && inter_picture {
        // Up to three references, each with a bit that says whether another follows.
        for _ in 0..3 {
            let reference = *payload.get(at)?;
            at += 1;
            if reference & 1 == 0 {
                break;
            }
        }
    }
    if has(0x02) {
        at = skip_structure(payload, at)?;
    }
    payload.get(at)?;
    Some(PacketInfo {
        // Without references to other pictures, and not above another layer of its own.
        keyframe: begins_frame && !inter_picture && spatial == 0,
        begins_frame,
        ends_frame,
        inter_picture,
        temporal,
        spatial,
        switch_up,
        descriptor,
        dependency: None,
    })
}

/// The offset behind the scalability structure (§4.2.1) at `at`.
fn skip_structure(payload: &[u8], mut at: usize) -> Option<usize> {
    let head = *payload.get(at)?;
    at += 1;
    if head & 0x10 != 0 {
        at += 4 * (usize::from(head >> 5) + 1);
    }
    if head & 0x08 != 0 {
        let pictures = *payload.get(at)?;
        at += 1;
        for _ in 0..pictures {
            let references = *payload.get(at)? >> 2 & 3;
            at += 1 + usize::from(references);
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Non-flexible, first and only packet of the base layer of a key picture, with a structure of
    /// two spatial layers and a group of two pictures.
    const KEYFRAME: [u8; 22] = [
        0xAE, 0x81, 0x00, 0x10, 5, 0x38, 1, 64, 0, 180, 2, 128, 1, 104, 2, 0x04, 2, 0x34, 1, 0x82,
        0x49, 0x83,
    ];

    #[test]
    fn reads_a_key_picture_with_its_structure() {
        let info = inspect(&KEYFRAME).unwrap();
        assert!(info.keyframe && info.begins_frame && info.ends_frame);
        assert_eq!(info.descriptor.picture_id.unwrap().value, 0x100);
        assert_eq!(info.descriptor.tl0_picture_index.unwrap().value, 5);
        assert_eq!((info.temporal, info.spatial), (0, 0));
        assert_eq!(info.switch_up, SwitchUp::After);
        for len in 0..20 {
            assert_eq!(inspect(&KEYFRAME[..len]), None, "{len}");
        }
    }

    #[test]
    fn reads_flexible_mode() {
        // Two references, temporal layer 2, spatial layer 1 predicted from the layer below.
        let info = inspect(&[0xF8, 0x05, 0x43, 0x03, 0x04, 0x86]).unwrap();
        assert!(info.begins_frame && !info.ends_frame && info.inter_picture);
        assert!(!info.keyframe);
        assert_eq!((info.temporal, info.spatial), (2, 1));
        assert_eq!(info.descriptor.tl0_picture_index, None);
        assert_eq!(info.switch_up, SwitchUp::No);
        assert_eq!(inspect(&[0xF8, 0x05, 0x43, 0x03, 0x04]), None);

        // The upper layer of a key picture is not where a decoder starts.
        let info = inspect(&[0xBC, 0x05, 0x03, 0x86]).unwrap();
        assert!(!info.keyframe && !info.inter_picture);
        assert_eq!(info.spatial, 1);
    }
}
