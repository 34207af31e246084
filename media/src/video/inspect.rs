//! One stream's packets, in their order.

use super::codec::{PacketInfo, VideoCodec};
use super::dependency::{self, Structure};
use super::h264;
use crate::rtp::extension::{Extension, ExtensionIds, find};
use crate::rtp::forward::TrackPacket;

/// Tells what the packets of one published simulcast stream are. What later packets depend on (the
/// dependency structure, where frames began) is kept from one to the next.
#[derive(Debug)]
pub struct Inspector {
    codec: VideoCodec,
    /// Id of the dependency descriptor.
    descriptor: Option<u8>,
    structure: Option<Box<Structure>>,
    /// Which packet brought it.
    structured_by: u64,
    /// Number and timestamp of the newest packet that was not mere padding.
    newest: Option<(u64, u32)>,
    /// Timestamp of the last H.264 parameter set.
    parameters: Option<u32>,
}

impl Inspector {
    /// For a stream of `codec` whose publisher's extensions have the ids `publisher`.
    pub fn new(codec: VideoCodec, publisher: &ExtensionIds) -> Inspector {
        Inspector {
            codec,
            descriptor: publisher.get(Extension::DependencyDescriptor),
            structure: None,
            structured_by: 0,
            newest: None,
            parameters: None,
        }
    }

    /// What `packet` is. A packet that cannot be read is taken for one of the base layer.
    pub fn inspect(&mut self, packet: &TrackPacket<'_>) -> PacketInfo {
        let mut info = self.codec.inspect(packet.payload).unwrap_or(PacketInfo {
            inter_picture: true,
            ..PacketInfo::default()
        });
        let timestamp = packet.header.timestamp;
        if packet.payload.is_empty() {
            return info;
        }
        let late = self.newest.is_some_and(|(seq, _)| packet.seq <= seq);
        // VP8 and VP9 say themselves where frames begin.
        if matches!(self.codec, VideoCodec::H264 | VideoCodec::Av1) {
            info.begins_frame = !late && self.newest.is_none_or(|(_, last)| last != timestamp);
        }
        if self.codec != VideoCodec::Vp9 {
            info.ends_frame = packet.header.marker;
        }
        if self.codec == VideoCodec::H264 && info.keyframe {
            info.keyframe = self.starts_sequence(packet);
        }
        if let Some(value) = self.descriptor.and_then(|id| {
            let block = packet.header.extension.as_ref()?;
            find(packet.bytes, block, id)
        }) {
            self.read_dependency(packet.seq, value, &mut info);
        }
        if !late {
            self.newest = Some((packet.seq, timestamp));
        }
        info
    }

    /// Whether a decoder can start at an H.264 packet that brings parameter sets or an IDR picture.
    fn starts_sequence(&mut self, packet: &TrackPacket<'_>) -> bool {
        let timestamp = packet.header.timestamp;
        if h264::has_parameters(packet.payload) {
            self.parameters = Some(timestamp);
            return true;
        }
        // An IDR picture whose parameter sets came before it is no other start; one without any is,
        // unless they may have been lost.
        self.parameters != Some(timestamp)
            && self
                .newest
                .is_none_or(|(seq, _)| self.parameters.is_none() || seq + 1 == packet.seq)
    }

    fn read_dependency(&mut self, seq: u64, value: &[u8], info: &mut PacketInfo) {
        let Some(read) = dependency::parse(value, self.structure.as_deref_mut()) else {
            return;
        };
        if let Some(structure) = read.structure
            && (self.structure.is_none() || seq > self.structured_by)
        {
            self.structured_by = seq;
            match &mut self.structure {
                Some(current) => **current = structure,
                None => self.structure = Some(Box::new(structure)),
            }
        }
        let Some(frame) = read.frame else {
            return;
        };
        info.dependency = Some(frame);
        info.begins_frame = frame.first;
        info.ends_frame = frame.last;
        info.spatial = frame.spatial;
        info.temporal = frame.temporal;
        let alone = frame.references == 0 && !frame.far_reference;
        info.keyframe |= frame.structured && frame.first && frame.spatial == 0 && alone;
    }
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
