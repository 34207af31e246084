//! One outbound video stream of a subscriber: the rewrite that hides which track, which of its
//! simulcast streams and which of their layers are behind it.

use std::time::{Duration, Instant};

use super::codec::VideoCodec;
use super::descriptor::{Descriptor, Picture};
use super::layers::{Choice, Layer, Layering, Selector};
use super::packet::{SentAs, VideoPacket};
use super::pictures::Pictures;
use super::renumber::Renumber;
use super::sent::{Record, Sent};
use super::timeline::Timeline;
use super::write::{Content, Envelope, Extensions, MAX_GROWTH};
use crate::rtp::extension::ExtensionIds;
use crate::rtp::forward::TrackPacket;
use crate::srtp::Protect;

/// How a stream sends a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoStreamFormat {
    /// The codec.
    pub codec: VideoCodec,
    /// What the subscriber negotiated for it, 0–127.
    pub payload_type: u8,
    /// What it negotiated for its retransmissions (RFC 4588), if it did.
    pub rtx_payload_type: Option<u8>,
}

/// Where a stream starts to count. All should be random; only the low 15 bits of the sequence
/// numbers are used, so that the first packets cannot be taken for a rollover (RFC 3711 §3.3.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstNumbers {
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Sequence number of the retransmission stream.
    pub rtx_seq: u16,
}

/// Packets and payload octets sent, as sender reports count them (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packets: u32,
    octets: u32,
}

/// An outbound video stream: its identity never changes, what is behind it may.
#[derive(Debug)]
pub struct VideoForwarder {
    ssrc: u32,
    rtx_ssrc: Option<u32>,
    subscriber: ExtensionIds,
    extensions: Extensions,
    format: Option<VideoStreamFormat>,
    selector: Selector,
    seqs: Renumber,
    pictures: Pictures,
    timeline: Timeline,
    sent: Sent,
    next_seq: u64,
    next_rtx_seq: u64,
    counts: Counts,
    rtx_counts: Counts,
}

impl VideoForwarder {
    /// A stream under `ssrc`, with the subscriber's extension ids; it is sent again under `rtx_ssrc`
    /// or, without one, under its own.
    pub fn new(
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        subscriber: ExtensionIds,
        first: FirstNumbers,
    ) -> VideoForwarder {
        VideoForwarder {
            ssrc,
            rtx_ssrc,
            subscriber,
            extensions: Extensions::default(),
            format: None,
            selector: Selector::new(),
            seqs: Renumber::new(),
            pictures: Pictures::new(),
            timeline: Timeline::new(first.timestamp),
            sent: Sent::new(),
            next_seq: u64::from(first.seq & 0x7FFF),
            next_rtx_seq: u64::from(first.rtx_seq & 0x7FFF),
            counts: Counts::default(),
            rtx_counts: Counts::default(),
        }
    }

    /// The stream's synchronisation source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The synchronisation source of its retransmissions, if it has one.
    pub fn rtx_ssrc(&self) -> Option<u32> {
        self.rtx_ssrc
    }

    /// Writes the subscriber's extensions under these ids from the next track on.
    pub fn set_extensions(&mut self, subscriber: ExtensionIds) {
        self.subscriber = subscriber;
    }

    /// Puts another track behind the stream, whose extensions have the ids `publisher`. Nothing is
    /// sent until a keyframe of the target; from there all numbers go on.
    pub fn attach(
        &mut self,
        publisher: &ExtensionIds,
        format: VideoStreamFormat,
        layering: Layering,
    ) {
        self.extensions = Extensions::new(publisher, &self.subscriber);
        self.format = Some(format);
        self.selector.attach(layering);
        self.sent.forget_before(self.next_seq);
    }

    /// Puts nothing behind the stream: the subscriber cannot decode what there is, or what there will
    /// be is not known yet. It wants no keyframe then.
    pub fn detach(&mut self) {
        self.format = None;
        self.selector.stop();
        self.sent.forget_before(self.next_seq);
    }

    /// Whether a track is behind the stream.
    pub fn is_attached(&self) -> bool {
        self.format.is_some()
    }

    /// The numbers of simulcast stream `stream` start anew.
    pub fn restart(&mut self, stream: u8) {
        if self.selector.stream() == Some(stream) {
            self.selector.stop();
        }
    }

    /// Sets the layer to get to, at the next frame that allows it; `None` pauses at once.
    pub fn set_target(&mut self, target: Option<Layer>) {
        self.selector.set_target(target);
    }

    /// The layer to get to.
    pub fn target(&self) -> Option<Layer> {
        self.selector.target()
    }

    /// The layer that is sent; `None` before the first keyframe.
    pub fn current(&self) -> Option<Layer> {
        self.selector.current()
    }

    /// The simulcast stream that is sent.
    pub fn stream(&self) -> Option<u8> {
        self.selector.stream()
    }

    /// The simulcast stream a keyframe of which is waited for.
    pub fn wants_keyframe(&self) -> Option<u8> {
        self.format.and_then(|_| self.selector.wants_keyframe())
    }

    /// Writes `packet` as this stream's next packet, protected, into `out`, if it is of the layers
    /// to send. Returns its length.
    ///
    /// `transport` is called for the transport-wide number, only if the packet is sent and carries
    /// one. `out` needs room for the packet and 80 bytes more.
    ///
    /// A packet that changes [`VideoForwarder::current`] to another stream may not be the newest of
    /// it, since the first one of a keyframe may be lost and come late. Those after it were ignored
    /// until then, and should be handed in again.
    pub fn forward(
        &mut self,
        packet: &VideoPacket<'_>,
        transport: impl FnOnce() -> u16,
        protect: &Protect,
        out: &mut [u8],
    ) -> Option<usize> {
        let format = self.format?;
        let rtp = &packet.rtp;
        if out.len() < rtp.bytes.len() + MAX_GROWTH {
            return None;
        }
        let late = self.selector.stream() == Some(packet.stream) && rtp.seq <= self.seqs.highest();
        let (seq, kept) = match self.choose(packet, late) {
            Choice::Ignore => return None,
            Choice::Start { marker } => {
                self.seqs.start(rtp.seq, self.next_seq);
                // Who has the keyframe needs nothing from before it, and a way that was too narrow
                // for the layer before should not carry its repair.
                self.sent.forget_before(self.next_seq);
                self.timeline.start(rtp.header.timestamp, packet.captured);
                self.pictures.start(&packet.info);
                let picture = self.pictures.keep(&packet.info);
                (self.seqs.keep(rtp.seq), Some((marker, picture)))
            }
            Choice::Keep { marker } if !late => {
                let picture = self.pictures.keep(&packet.info);
                (self.seqs.keep(rtp.seq), Some((marker, picture)))
            }
            Choice::Drop if !late => {
                // Only VP8 has pictures numbered for the receiver's sake alone.
                if format.codec == VideoCodec::Vp8 {
                    self.pictures.drop(&packet.info);
                }
                self.seqs.drop(rtp.seq);
                return None;
            }
            choice => {
                let seq = self.seqs.lookup(rtp.seq)?;
                if !self.sent.is_vacant(seq, self.next_seq) {
                    return None;
                }
                let kept = match choice {
                    Choice::Keep { marker } => self
                        .pictures
                        .late(&packet.info)
                        .map(|picture| (marker, picture)),
                    _ => None,
                };
                (seq, kept)
            }
        };
        let envelope = Envelope {
            ssrc: self.ssrc,
            payload_type: format.payload_type,
            seq,
            timestamp: self.timeline.map(rtp.header.timestamp),
            marker: kept.is_some_and(|(marker, _)| marker),
            transport: self.extensions.numbers_transport().then(transport),
        };
        let content = match kept {
            Some((_, picture)) => Content::Media {
                packet: rtp,
                descriptor: &packet.info.descriptor,
                picture,
                original: None,
            },
            // The number was kept for it, and the receiver would ask for it in vain.
            None => Content::Padding(1),
        };
        let len = self.extensions.write(&envelope, &content, protect, out)?;
        self.note(packet, &envelope, kept.map(|(_, picture)| picture));
        Some(len)
    }

    fn choose(&mut self, packet: &VideoPacket<'_>, late: bool) -> Choice {
        if packet.rtp.payload.is_empty() {
            // A publisher's own padding; not a picture, whatever its timestamp.
            return match self.selector.stream() == Some(packet.stream) {
                true => Choice::Drop,
                false => Choice::Ignore,
            };
        }
        let header = packet.rtp.header;
        let (timestamp, marker) = (header.timestamp, header.marker);
        self.selector
            .choose(packet.stream, timestamp, marker, &packet.info, late)
    }

    fn note(&mut self, packet: &VideoPacket<'_>, envelope: &Envelope, picture: Option<Picture>) {
        self.sent.insert(
            envelope.seq,
            Record {
                track_seq: packet.rtp.seq,
                timestamp: envelope.timestamp,
                picture: picture.unwrap_or_default(),
                transport: envelope.transport,
                stream: packet.stream,
                marker: envelope.marker,
                filler: picture.is_none(),
                ..Record::default()
            },
        );
        if envelope.seq >= self.next_seq {
            self.next_seq = envelope.seq + 1;
            self.timeline.sent(envelope.timestamp, packet.captured);
        }
        let octets = match picture {
            Some(_) => packet.rtp.payload.len(),
            None => 0,
        };
        self.counts.add(octets);
    }

    /// The packet that was sent as `seq`, if it is of the present track, was not asked for within
    /// the round trip `rtt`, and the stream may still retransmit. Uses up one retransmission.
    pub fn requested(&mut self, now: Instant, seq: u16, rtt: Duration) -> Option<SentAs> {
        let newest = self.next_seq.checked_sub(1)?;
        let behind = (newest as u16).wrapping_sub(seq);
        let seq = newest.checked_sub(u64::from(behind))?;
        let record = self.sent.request(now, seq, rtt)?;
        Some(record.named(seq))
    }

    /// The packet sent `back` packets before the newest, to be sent again as a probe of bandwidth.
    pub fn recent(&self, back: u16) -> Option<SentAs> {
        let seq = self.next_seq.checked_sub(1 + u64::from(back))?;
        Some(self.sent.get(seq)?.named(seq))
    }

    /// Writes `packet`, which is what `sent` names, again: as a retransmission (RFC 4588) or, if
    /// none were negotiated, bit for bit. Arguments and result are as for
    /// [`VideoForwarder::forward`].
    pub fn resend(
        &mut self,
        sent: SentAs,
        packet: &TrackPacket<'_>,
        transport: impl FnOnce() -> u16,
        protect: &Protect,
        out: &mut [u8],
    ) -> Option<usize> {
        let format = self.format?;
        let record = *self.sent.get(sent.seq)?;
        if record.track_seq != packet.seq || out.len() < packet.bytes.len() + MAX_GROWTH {
            return None;
        }
        let rtx = self.rtx(&format);
        let (ssrc, payload_type, seq) = rtx.unwrap_or((self.ssrc, format.payload_type, sent.seq));
        let envelope = Envelope {
            ssrc,
            payload_type,
            seq,
            timestamp: record.timestamp,
            marker: record.marker,
            // The same packet index must not protect two different packets.
            transport: match rtx {
                Some(_) => self.extensions.numbers_transport().then(transport),
                None => record.transport,
            },
        };
        let descriptor: Descriptor = format.codec.descriptor(packet.payload);
        let content = Content::Media {
            packet,
            descriptor: &descriptor,
            picture: record.picture,
            original: rtx.map(|_| sent.seq as u16),
        };
        let len = self.extensions.write(&envelope, &content, protect, out)?;
        if rtx.is_some() {
            self.next_rtx_seq += 1;
            self.rtx_counts.add(packet.payload.len() + 2);
        } else {
            self.counts.add(packet.payload.len());
        }
        Some(len)
    }

    /// Whether [`VideoForwarder::padding`] may be written.
    pub fn may_repeat(&self) -> bool {
        let rtx = self.format.and_then(|format| self.rtx(&format));
        rtx.is_some() && self.counts.packets > 0
    }

    /// Writes a packet of `len` (1–255) bytes of padding on the retransmission stream, to probe for
    /// bandwidth. `None` if there is no such stream, or nothing was sent yet that could be repeated.
    pub fn padding(
        &mut self,
        len: u8,
        transport: impl FnOnce() -> u16,
        protect: &Protect,
        out: &mut [u8],
    ) -> Option<usize> {
        let (ssrc, payload_type, seq) = self.rtx(&self.format?)?;
        if !self.may_repeat() || out.len() < 255 + MAX_GROWTH {
            return None;
        }
        let envelope = Envelope {
            ssrc,
            payload_type,
            seq,
            timestamp: self.timeline.last(),
            marker: false,
            transport: self.extensions.numbers_transport().then(transport),
        };
        let content = Content::Padding(len.max(1));
        let len = self.extensions.write(&envelope, &content, protect, out)?;
        self.next_rtx_seq += 1;
        self.rtx_counts.add(0);
        Some(len)
    }

    /// The stream's timestamp for a timestamp of simulcast stream `stream`, if that is the one sent.
    pub fn timestamp_of(&self, stream: u8, track_timestamp: u64) -> Option<u32> {
        (self.selector.stream() == Some(stream)).then(|| self.timeline.map(track_timestamp as u32))
    }

    /// Packets and payload octets sent, as a sender report counts them.
    pub fn sent(&self) -> (u32, u32) {
        (self.counts.packets, self.counts.octets)
    }

    /// As [`VideoForwarder::sent`], for the retransmission stream.
    pub fn rtx_sent(&self) -> (u32, u32) {
        (self.rtx_counts.packets, self.rtx_counts.octets)
    }

    /// SSRC, payload type and next packet index of the retransmission stream, if there is one.
    fn rtx(&self, format: &VideoStreamFormat) -> Option<(u32, u8, u64)> {
        Some((self.rtx_ssrc?, format.rtx_payload_type?, self.next_rtx_seq))
    }
}

impl Counts {
    fn add(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
    }
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "resend_tests.rs"]
mod resend_tests;

#[cfg(test)]
#[path = "svc_tests.rs"]
mod svc_tests;
