//! Header extensions (RFC 8285): reading them by kind, and renumbering them per subscriber.

use std::ops::Range;

use super::header::ExtensionBlock;

/// `a=extmap` URI of the client-to-mixer audio level (RFC 6464).
pub const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// `a=extmap` URI of the media section id (RFC 9143).
pub const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// `a=extmap` URI of the RTP stream id (RFC 8852).
pub const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// `a=extmap` URI of the repaired RTP stream id (RFC 8852).
pub const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// `a=extmap` URI of the transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc).
pub const TRANSPORT_SEQUENCE_URI: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// `a=extmap` URI of the dependency descriptor (AV1 RTP, appendix A).
pub const DEPENDENCY_DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
/// `a=extmap` URI of the coordination of video orientation (3GPP TS 26.114).
pub const VIDEO_ORIENTATION_URI: &str = "urn:3gpp:video-orientation";
/// `a=extmap` URI of the absolute capture time, by which receivers keep lips in step.
pub const ABSOLUTE_CAPTURE_TIME_URI: &str =
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
/// `a=extmap` URI of the playout delay that a sender asks for.
pub const PLAYOUT_DELAY_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

const ONE_BYTE: u16 = 0xBEDE;
const TWO_BYTE: u16 = 0x1000;

/// The extensions this server understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Extension {
    /// Voice activity and level in −dBov.
    AudioLevel,
    /// Names the media section a packet belongs to.
    Mid,
    /// Names the simulcast layer.
    Rid,
    /// Names the simulcast layer that an RTX packet repairs.
    RepairedRid,
    /// Numbers the packets of all streams of a transport, for congestion control.
    TransportSequence,
    /// Tells which frames a frame of a layered stream depends on.
    DependencyDescriptor,
    /// How to turn a picture upright.
    VideoOrientation,
    /// When a frame was captured, on the sender's clock.
    AbsoluteCaptureTime,
    /// How long a receiver should hold frames back.
    PlayoutDelay,
}

impl Extension {
    /// How many there are.
    const COUNT: usize = 9;

    pub(crate) const ALL: [(Extension, &'static str); Extension::COUNT] = [
        (Extension::AudioLevel, AUDIO_LEVEL_URI),
        (Extension::Mid, MID_URI),
        (Extension::Rid, RID_URI),
        (Extension::RepairedRid, REPAIRED_RID_URI),
        (Extension::TransportSequence, TRANSPORT_SEQUENCE_URI),
        (Extension::DependencyDescriptor, DEPENDENCY_DESCRIPTOR_URI),
        (Extension::VideoOrientation, VIDEO_ORIENTATION_URI),
        (Extension::AbsoluteCaptureTime, ABSOLUTE_CAPTURE_TIME_URI),
        (Extension::PlayoutDelay, PLAYOUT_DELAY_URI),
    ];

    /// Those that describe the media and not the publisher's own transport, so that they are passed
    /// on to subscribers.
    const END_TO_END: [Extension; 5] = [
        Extension::AudioLevel,
        Extension::DependencyDescriptor,
        Extension::VideoOrientation,
        Extension::AbsoluteCaptureTime,
        Extension::PlayoutDelay,
    ];

    /// The extension with `uri`, if this server understands it.
    pub fn from_uri(uri: &str) -> Option<Extension> {
        Self::ALL
            .into_iter()
            .find_map(|(extension, known)| (known == uri).then_some(extension))
    }

    /// The `a=extmap` URI.
    pub fn uri(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which ids one media section negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    ids: [u8; Extension::COUNT],
}

impl ExtensionIds {
    /// Sets the id of `extension`, 1–14; other ids are ignored, so that what fits the one-byte form
    /// is written in it.
    pub fn set(&mut self, extension: Extension, id: u16) {
        if (1..=14).contains(&id) {
            self.ids[extension as usize] = id as u8;
        }
    }

    /// The id of `extension`, if it was negotiated.
    pub fn get(&self, extension: Extension) -> Option<u8> {
        let id = self.ids[extension as usize];
        (id != 0).then_some(id)
    }

    /// What has the same id in both.
    pub fn in_common(&self, other: &ExtensionIds) -> ExtensionIds {
        let mut common = *self;
        for (id, other) in common.ids.iter_mut().zip(other.ids) {
            if *id != other {
                *id = 0;
            }
        }
        common
    }

    /// How to renumber a publisher's (`self`) extensions for a subscriber. Extensions that describe
    /// the publisher's own session (mid, rid, transport-wide numbers) are not passed on.
    pub fn map_to(&self, subscriber: &ExtensionIds) -> ExtensionMap {
        let mut map = ExtensionMap::default();
        for extension in Extension::END_TO_END {
            if let (Some(from), Some(to)) = (self.get(extension), subscriber.get(extension)) {
                map.to[usize::from(from)] = to;
            }
        }
        map
    }
}

/// The value of the element with `id` in the extension block of `packet`.
pub fn find<'a>(packet: &'a [u8], block: &ExtensionBlock, id: u8) -> Option<&'a [u8]> {
    packet.get(locate(packet, block, id)?)
}

/// Where in `packet` the value of the element with `id` is.
pub fn locate(packet: &[u8], block: &ExtensionBlock, id: u8) -> Option<Range<usize>> {
    elements(packet, block).find_map(|(at, value)| (at == id).then_some(value))
}

/// The elements of an extension block: ids, and where their values are. Stops at the first malformed
/// one.
fn elements<'a>(
    packet: &'a [u8],
    block: &ExtensionBlock,
) -> impl Iterator<Item = (u8, Range<usize>)> + use<'a> {
    let one_byte = block.profile == ONE_BYTE;
    let two_byte = block.profile & 0xFFF0 == TWO_BYTE;
    let (mut at, mut end) = (block.start, block.end);
    if end > packet.len() || !(one_byte || two_byte) {
        end = at;
    }
    std::iter::from_fn(move || {
        let block = packet.get(..end)?;
        loop {
            let first = *block.get(at)?;
            at += 1;
            if first == 0 {
                continue;
            }
            let (id, len) = if one_byte {
                if first >> 4 == 15 {
                    at = end;
                    return None;
                }
                (first >> 4, usize::from(first & 15) + 1)
            } else {
                let len = *block.get(at)?;
                at += 1;
                (first, usize::from(len))
            };
            let value = at..at + len;
            at += len;
            return (at <= end).then_some((id, value));
        }
    })
}

/// Renumbers the extensions of one track for one subscriber; ids without a target are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    to: [u8; 15],
}

impl ExtensionMap {
    /// Writes the renumbered block to the start of `out` and returns its length, 0 if nothing is
    /// left. Elements that `out` has no room for are dropped.
    pub fn rewrite(&self, packet: &[u8], block: &ExtensionBlock, out: &mut [u8]) -> usize {
        self.rewrite_with(packet, Some(block), &[], out)
    }

    /// As [`ExtensionMap::rewrite`], followed by the elements `added` (ids and values) of the
    /// subscriber's own.
    ///
    /// Writes the one-byte form unless an element does not fit it, so it takes a subscriber that
    /// allows both (`a=extmap-allow-mixed`, RFC 8285 §6).
    pub fn rewrite_with(
        &self,
        packet: &[u8],
        block: Option<&ExtensionBlock>,
        added: &[(u8, &[u8])],
        out: &mut [u8],
    ) -> usize {
        let kept = || {
            let block = block.into_iter();
            let mapped = block.flat_map(|block| elements(packet, block));
            mapped.filter_map(|(id, value)| {
                let to = self.to.get(usize::from(id)).copied().unwrap_or(0);
                (to != 0).then(|| (to, &packet[value]))
            })
        };
        let all = || kept().chain(added.iter().copied());
        let one_byte = all().all(|(id, value)| id < 15 && (1..=16).contains(&value.len()));
        let head = if one_byte { 1 } else { 2 };
        let mut at = 4;
        for (id, value) in all() {
            // Room for the padding is kept back.
            if value.len() > 255 || at + head + value.len() + 3 > out.len() {
                break;
            }
            if one_byte {
                out[at] = id << 4 | (value.len() as u8 - 1);
            } else {
                out[at..at + 2].copy_from_slice(&[id, value.len() as u8]);
            }
            at += head;
            out[at..at + value.len()].copy_from_slice(value);
            at += value.len();
        }
        if at == 4 {
            return 0;
        }
        while at % 4 != 0 {
            out[at] = 0;
            at += 1;
        }
        let profile = if one_byte { ONE_BYTE } else { TWO_BYTE };
        out[..2].copy_from_slice(&profile.to_be_bytes());
        out[2..4].copy_from_slice(&((at as u16 - 4) / 4).to_be_bytes());
        at
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::Header;
    use super::*;

    fn packet(profile: [u8; 2], data: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
        packet.extend(profile);
        packet.extend((data.len() as u16 / 4).to_be_bytes());
        packet.extend(data);
        packet
    }

    fn level_to(from: u16, to: u16) -> ExtensionMap {
        let (mut publisher, mut subscriber) = (ExtensionIds::default(), ExtensionIds::default());
        publisher.set(Extension::AudioLevel, from);
        publisher.set(Extension::Mid, 4);
        subscriber.set(Extension::AudioLevel, to);
        subscriber.set(Extension::Mid, 4);
        publisher.map_to(&subscriber)
    }

    #[test]
    fn keeps_what_was_negotiated_under_its_new_id() {
        // mid "a" (id 4), level (id 1), then padding.
        let packet = packet([0xBE, 0xDE], &[0x40, b'a', 0, 0x10, 0x85, 0, 0, 0]);
        let block = Header::parse(&packet).unwrap().extension.unwrap();
        assert_eq!(find(&packet, &block, 1), Some(&[0x85][..]));
        assert_eq!(find(&packet, &block, 4), Some(&b"a"[..]));
        let mut out = [0xFF; 64];
        let len = level_to(1, 3).rewrite(&packet, &block, &mut out);
        assert_eq!(out[..len], [0xBE, 0xDE, 0, 1, 0x30, 0x85, 0, 0]);
        assert_eq!(level_to(2, 3).rewrite(&packet, &block, &mut out), 0);
    }

    #[test]
    fn reads_two_byte_ids_and_writes_one_byte_ids() {
        let packet = packet([0x10, 0x00], &[1, 1, 0x85, 0, 200, 1, 7, 0]);
        let block = Header::parse(&packet).unwrap().extension.unwrap();
        assert_eq!(find(&packet, &block, 200), Some(&[7][..]));
        let mut out = [0; 64];
        let len = level_to(1, 3).rewrite(&packet, &block, &mut out);
        assert_eq!(out[..len], [0xBE, 0xDE, 0, 1, 0x30, 0x85, 0, 0]);
    }

    #[test]
    fn malformed_elements_end_the_block() {
        for data in [[0xF0, 0, 0, 0], [0x1F, 1, 2, 3], [0, 0, 0, 0x13]] {
            let packet = packet([0xBE, 0xDE], &data);
            let block = Header::parse(&packet).unwrap().extension.unwrap();
            assert_eq!(find(&packet, &block, 1), None);
            assert_eq!(level_to(1, 3).rewrite(&packet, &block, &mut [0; 64]), 0);
        }
    }

    #[test]
    fn a_long_element_takes_the_two_byte_form() {
        let mut data = vec![1, 20];
        data.extend([7; 20]);
        data.extend([2, 1, 0x85, 0, 0, 0]);
        let packet = packet([0x10, 0x00], &data);
        let block = Header::parse(&packet).unwrap().extension.unwrap();
        let mut publisher = ExtensionIds::default();
        publisher.set(Extension::DependencyDescriptor, 1);
        publisher.set(Extension::AudioLevel, 2);
        let mut subscriber = ExtensionIds::default();
        subscriber.set(Extension::DependencyDescriptor, 12);
        subscriber.set(Extension::AudioLevel, 3);
        let map = publisher.map_to(&subscriber);
        let mut out = [0xFF; 64];
        let len = map.rewrite_with(&packet, Some(&block), &[(5, &[1, 2])], &mut out);
        let mut expected = vec![0x10, 0x00, 0, 8, 12, 20];
        expected.extend([7; 20]);
        expected.extend([3, 1, 0x85, 5, 2, 1, 2, 0, 0, 0]);
        assert_eq!(out[..len], expected);
        // What there is no room for is left out.
        let len = map.rewrite_with(&packet, Some(&block), &[(5, &[1, 2])], &mut out[..16]);
        assert_eq!(len, 0);
    }

    #[test]
    fn elements_are_added_to_a_packet_without_any() {
        let packet = packet([0xBE, 0xDE], &[]);
        let mut out = [0xFF; 16];
        let map = ExtensionMap::default();
        let added: [(u8, &[u8]); 2] = [(3, &[9, 8]), (4, b"a")];
        let len = map.rewrite_with(&packet, None, &added, &mut out);
        assert_eq!(
            out[..len],
            [0xBE, 0xDE, 0, 2, 0x31, 9, 8, 0x40, b'a', 0, 0, 0]
        );
        let block = ExtensionBlock {
            profile: 0xBEDE,
            start: 4,
            end: len,
        };
        assert_eq!(locate(&out, &block, 4), Some(8..9));
    }
}
