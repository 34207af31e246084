//! H.264 payloads (RFC 6184 §5).

use super::codec::PacketInfo;

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// What an H.264 payload tells; `None` if it is malformed. Where frames begin and end is in the RTP
/// headers.
pub(super) fn inspect(payload: &[u8]) -> Option<PacketInfo> {
    Some(PacketInfo {
        keyframe: starts_idr(payload)? || has_parameters(payload),
        inter_picture: true,
        ..PacketInfo::default()
    })
}

/// Whether `payload` brings a sequence parameter set, which precedes the IDR picture it is for.
pub(super) fn has_parameters(payload: &[u8]) -> bool {
    match payload {
        [head, rest @ ..] if head & 0x1F == STAP_A => units(rest).any(|unit| unit == SPS),
        [head, ..] => head & 0x1F == SPS,
        [] => false,
    }
}

fn starts_idr(payload: &[u8]) -> Option<bool> {
    let (head, rest) = payload.split_first()?;
    Some(match head & 0x1F {
        STAP_A => units(rest).any(|unit| unit == IDR),
        FU_A => {
            let fragment = *rest.first()?;
            fragment & 0x80 != 0 && fragment & 0x1F == IDR
        }
        unit => unit == IDR,
    })
}

/// The types of the units of an aggregate, up to the first that is cut off.
fn units(mut rest: &[u8]) -> impl Iterator<Item = u8> + '_ {
    std::iter::from_fn(move || {
        let (len, tail) = rest.split_first_chunk::<2>()?;
        let unit = tail.get(..usize::from(u16::from_be_bytes(*len)))?;
        rest = &tail[unit.len()..];
        // An empty unit has no type, and is none that matters.
        Some(unit.first().map_or(0, |head| head & 0x1F))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyframe(payload: &[u8]) -> bool {
        inspect(payload).is_some_and(|info| info.keyframe)
    }

    #[test]
    fn finds_keyframes_in_every_packetization() {
        let stap = [0x78, 0, 3, 0x67, 0x42, 0xC0, 0, 2, 0x68, 0xCE];
        assert!(keyframe(&stap) && has_parameters(&stap));
        assert!(keyframe(&[0x67, 0x42]) && has_parameters(&[0x67, 0x42]));
        assert!(keyframe(&[0x65, 0x88]) && !has_parameters(&[0x65, 0x88]));
        assert!(keyframe(&[0x7C, 0x85, 0x88]));
        // The middle and the end of a fragmented IDR picture, a delta frame, an aggregate of others.
        assert!(!keyframe(&[0x7C, 0x05, 0x88]));
        assert!(!keyframe(&[0x7C, 0x45, 0x88]));
        assert!(!keyframe(&[0x41, 0x9A]));
        assert!(!keyframe(&[0x78, 0, 1, 0x41, 0, 1, 0x06]));
        // An IDR picture behind a supplemental unit.
        assert!(keyframe(&[0x78, 0, 1, 0x06, 0, 2, 0x65, 0x88]));
    }

    #[test]
    fn truncations_are_no_keyframes() {
        let stap = [0x78, 0, 2, 0x06, 0x01, 0, 2, 0x67, 0x42];
        for len in 0..stap.len() {
            assert!(!keyframe(&stap[..len]), "{len}");
        }
        assert_eq!(inspect(&[]), None);
        assert_eq!(inspect(&[0x7C]), None);
    }
}
