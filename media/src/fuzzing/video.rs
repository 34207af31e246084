//! Payloads of video and the dependency descriptors beside them.

use crate::rtp::extension::{Extension, ExtensionIds};
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;
use crate::video::codec::VideoCodec;
use crate::video::inspect::Inspector;

/// Packets of one stream, each 2 bytes of length and the packet, read as every codec's. The numbers that are found lie
/// within the payload, and a frame that is told of is within the layers there are.
pub fn video_payload(data: &[u8]) {
    for codec in ["VP8", "VP9", "H264", "AV1"].map(VideoCodec::from_name) {
        inspect(codec.expect("we know the codec"), data);
    }
}

fn inspect(codec: VideoCodec, mut data: &[u8]) {
    let mut publisher = ExtensionIds::default();
    publisher.set(Extension::DependencyDescriptor, 5);
    let mut inspector = Inspector::new(codec, &publisher);
    let mut seq = 0x1_0000;
    while let Some((&[high, low], rest)) = data.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (bytes, rest) = rest.split_at(rest.len().min(len));
        data = rest;
        let Ok(header) = Header::parse(bytes) else {
            continue;
        };
        let Ok(payload) = header.payload(bytes) else {
            continue;
        };
        // Some come late, as the sequence number says.
        seq = (seq & !0xFFFF) | u64::from(header.seq);
        let info = inspector.inspect(&TrackPacket {
            bytes,
            header: &header,
            payload,
            primary: None,
            seq,
        });
        let numbers = info.descriptor;
        if let Some(id) = numbers.picture_id {
            assert!(usize::from(id.at) + usize::from(id.wide) < payload.len());
            assert!(id.wide || id.value < 0x80);
        }
        for field in [numbers.tl0_picture_index, numbers.key_index] {
            assert!(field.is_none_or(|field| usize::from(field.at) < payload.len()));
        }
        assert!(info.spatial < 8 && info.temporal < 8);
        if let Some(frame) = info.dependency {
            // Whatever layers a subscriber asks for, there is an answer.
            for (spatial, temporal) in [(0, 0), (frame.spatial, frame.temporal), (3, 7)] {
                frame.indications.of(spatial, temporal);
            }
        }
    }
}

/// What cameras send: VP8, VP9, H.264 and AV1 with a dependency structure of two spatial and two temporal layers.
#[cfg(test)]
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let structure = [
        253, 0, 1, 135, 163, 24, 122, 170, 241, 48, 160, 160, 20, 209, 65, 56, 35, 4, 96, 8, 100,
        34, 34, 38, 80, 19, 240, 11, 48, 39, 240, 22, 112,
    ];
    let later = [0b1100_0000 | 1, 0, 2];
    let vp8 = [0x90, 0xE0, 0x81, 2, 3, 0x60, 0x10, 2, 0, 0x9D, 1, 0x2A];
    let vp9 = [
        0xBA, 0x81, 2, 0x25, 7, 0x18, 1, 0x40, 0, 0xB4, 1, 0x80, 8, 9,
    ];
    let h264 = [0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 1, 0, 2, 0x65, 1];
    let av1 = [0x18, 0x0A, 1, 2, 0x30, 3, 4];
    let packet = |seq: u8, descriptor: &[u8], payload: &[u8]| {
        let mut packet = vec![0x90, 0xE0, 0, seq, 0, 0, 3, 0xC0, 0, 0, 0, 9, 0x10, 0];
        let elements = (2 + descriptor.len()).next_multiple_of(4);
        packet.extend((elements as u16 / 4).to_be_bytes());
        packet.extend([5, descriptor.len() as u8]);
        packet.extend(descriptor);
        packet.resize(16 + elements, 0);
        packet.extend(payload);
        let mut data = (packet.len() as u16).to_be_bytes().to_vec();
        data.extend(packet);
        data
    };
    let payloads: [&[u8]; 4] = [&vp8, &vp9, &h264, &av1];
    payloads
        .iter()
        .map(|payload| {
            let mut stream = packet(1, &structure, payload);
            stream.extend(packet(2, &later, payload));
            stream.extend(packet(4, &later, payload));
            stream.extend(packet(3, &later, payload));
            stream
        })
        .collect()
}
