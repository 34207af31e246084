//! Video in, and who is sent what of it.

use std::time::Instant;

use super::datagram::Incoming;
use super::peer::Inbound;
use super::slot::Stream;
use super::track::{Origin, Subscriber};
use super::{Engine, MediaEvent, Transmit};
use crate::clock::Now;
use crate::rtp::extension::ExtensionIds;
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;
use crate::rtp::nack::NackGenerator;
use crate::rtp::receive::ReceiveStats;
use crate::rtp::sequence::ExtendTimestamp;
use crate::video::codec::VIDEO_CLOCK;
use crate::video::inspect::Inspector;
use crate::video::layers::Layering;
use crate::video::packet::VideoPacket;

impl Engine {
    /// Takes an authentic packet of a track of video; a retransmission is made what it repeats.
    pub(super) fn on_video(
        &mut self,
        now: &Now,
        incoming: &Incoming<'_>,
        packet: &mut [u8],
        out: &mut dyn Transmit,
    ) {
        let stream = usize::from(incoming.stream.layer);
        if !incoming.stream.repair {
            self.on_video_packet(now, incoming, packet, false, out);
            return;
        }
        let video = self.tracks[incoming.track].video.as_deref();
        let repaired = video.and_then(|video| {
            let rtx = incoming.header.payload_type;
            let format = video
                .formats
                .iter()
                .find(|format| format.rtx == Some(rtx))?;
            Some((video.streams.get(stream)?.ssrc?, format.payload_type))
        });
        let Some((ssrc, payload_type)) = repaired else {
            self.totals.unknown_stream += 1;
            return;
        };
        // Padding that probes for bandwidth repeats nothing.
        let Some(original) = unwrap_rtx(packet, incoming.header, ssrc, payload_type) else {
            return;
        };
        let Ok(header) = Header::parse(original) else {
            return;
        };
        let incoming = Incoming {
            header: &header,
            ..*incoming
        };
        self.on_video_packet(now, &incoming, original, true, out);
    }

    fn on_video_packet(
        &mut self,
        now: &Now,
        incoming: &Incoming<'_>,
        bytes: &[u8],
        repaired: bool,
        out: &mut dyn Transmit,
    ) {
        let &Incoming {
            key,
            track,
            stream,
            header,
        } = incoming;
        let at = usize::from(stream.layer);
        let peer = &mut *self.peers[key];
        let entry = &mut self.tracks[track];
        let (id, extensions) = (entry.id, entry.extensions);
        let (Some(publishing), Some(video), Ok(payload)) = (
            peer.publishing.as_deref_mut(),
            entry.video.as_deref_mut(),
            header.payload(bytes),
        ) else {
            return;
        };
        let known = video
            .formats
            .iter()
            .any(|format| format.payload_type == header.payload_type);
        let Some(simulcast) = video.streams.get_mut(at).filter(|_| known) else {
            self.totals.unknown_stream += 1;
            return;
        };
        let nackable = video
            .formats
            .iter()
            .any(|format| format.payload_type == header.payload_type && format.nack);
        let found = publishing
            .streams
            .iter()
            .position(|inbound| inbound.ssrc == header.ssrc);
        let inbound = match found {
            Some(found) => found,
            // Nothing can be repeated of what never came.
            None if repaired => return,
            None => {
                // A source that replaces another goes on above its numbers.
                let offset = match simulcast.ssrc {
                    Some(_) => (simulcast.highest_seq | 0xFFFF) + 1,
                    None => 0,
                };
                publishing.replace(simulcast.ssrc);
                publishing.streams.push(Inbound {
                    offset,
                    nackable,
                    anew: offset > 0,
                    ..Inbound::new(
                        header.ssrc,
                        ReceiveStats::new(VIDEO_CLOCK),
                        NackGenerator::video(),
                    )
                });
                simulcast.ssrc = Some(header.ssrc);
                publishing.streams.len() - 1
            }
        };
        if simulcast.ssrc != Some(header.ssrc) {
            self.totals.unknown_stream += 1;
            return;
        }
        let inbound = &mut publishing.streams[inbound];
        // Nor of what was dropped while the track was muted.
        if repaired && inbound.anew {
            return;
        }
        let received = match repaired {
            true => inbound.stats.repaired(header.seq),
            false => inbound
                .stats
                .receive(now.mono, header.seq, header.timestamp),
        };
        let seq = received.seq + inbound.offset;
        let restarted = received.restarted || std::mem::take(&mut inbound.anew);
        let mut reschedule = false;
        let mut gave_up = false;
        if nackable {
            let before = inbound.nack.next_at();
            if inbound.nack.received(now.mono, received.seq) {
                peer.rtt.repaired(inbound.nack.answer());
                peer.counters.recovered += 1;
                self.totals.recovered += 1;
            }
            reschedule = before.is_none() && inbound.nack.next_at().is_some();
            gave_up = inbound.nack.gave_up();
        }
        // What was asked for twice is sent twice.
        if repaired && simulcast.cache.get(seq).is_some() {
            return;
        }
        let changed = video.payload_type.replace(header.payload_type) != Some(header.payload_type);
        let codec = video
            .formats
            .iter()
            .find(|format| format.payload_type == header.payload_type)
            .map(|format| format.codec);
        if changed {
            for stream in &mut video.streams {
                stream.inspector = codec.map(|codec| Inspector::new(codec, &extensions));
            }
        }
        let layering = video.layering();
        let simulcast = &mut video.streams[at];
        let Some(inspector) = simulcast.inspector.as_mut() else {
            return;
        };
        let rtp = TrackPacket {
            bytes,
            header,
            payload,
            primary: None,
            seq,
        };
        let info = inspector.inspect(&rtp);
        let layer = match layering {
            Layering::Simulcast => at,
            Layering::Svc => usize::from(info.spatial),
        };
        if restarted {
            simulcast.timestamps = ExtendTimestamp::default();
        }
        if !repaired {
            let timestamp = simulcast.timestamps.extend(header.timestamp);
            simulcast.clock.observe(now.mono, timestamp);
            if let Some(meter) = video.meters.get_mut(layer) {
                meter.add(now.mono, bytes.len());
            }
            if let Some(pace) = video.paces.get_mut(layer) {
                pace.packet(now.mono, header.timestamp);
            }
        }
        if info.keyframe {
            inbound.keyframes.received();
        }
        let simulcast = &mut video.streams[at];
        let timestamp = simulcast.timestamps.extend(header.timestamp);
        simulcast.highest_seq = simulcast.highest_seq.max(seq);
        simulcast.cache.insert(seq, bytes);
        let captured = simulcast.clock.instant_of(timestamp).unwrap_or(now.mono);
        let packet = VideoPacket {
            rtp,
            stream: stream.layer,
            info,
            captured,
        };
        if !entry.started {
            entry.started = true;
            self.events.push_back(MediaEvent::TrackStarted {
                peer: peer.id,
                track: id,
            });
        }
        if changed {
            self.reformat(track);
        }
        if reschedule {
            self.schedule(key);
        }
        if gave_up {
            self.picture_broken(now.mono, track, stream.layer);
        }
        self.publish_video(now, track, &packet, restarted, out);
    }

    /// Asks the publisher of a track for a keyframe of one of its streams, unless it was asked just
    /// now.
    pub(super) fn want_keyframe(&mut self, now: Instant, track: usize, stream: u8) {
        let entry = &self.tracks[track];
        // It would be dropped, and hold back the one that is asked for at the end.
        if entry.muted {
            return;
        }
        let ssrc = entry
            .video
            .as_ref()
            .and_then(|video| video.streams.get(usize::from(stream))?.ssrc);
        let (Origin::Peer { key, .. }, Some(ssrc)) = (entry.origin, ssrc) else {
            return;
        };
        let publishing = self.peers[key].publishing.as_deref_mut();
        let inbound = publishing
            .and_then(|publishing| publishing.streams.iter_mut().find(|it| it.ssrc == ssrc));
        if let Some(inbound) = inbound
            && inbound.keyframes.next_at().is_none()
        {
            inbound.keyframes.request(now);
            self.schedule(key);
        }
    }

    /// Something of a stream is missing for good: who watches it cannot go on without a keyframe.
    pub(super) fn picture_broken(&mut self, now: Instant, track: usize, stream: u8) {
        let watched = self.tracks[track].subscribers.iter().any(|subscriber| {
            let listening = self.peers[subscriber.peer].listening.as_deref();
            let slot = listening.map(|listening| &listening.slots[subscriber.slot]);
            slot.is_some_and(|slot| match &slot.stream {
                Stream::Video(video) => video.forwarder.stream() == Some(stream),
                Stream::Audio(_) => false,
            })
        });
        if watched {
            self.want_keyframe(now, track, stream);
        }
    }

    /// Tells all subscribers of a track of video in which format it comes now.
    fn reformat(&mut self, track: usize) {
        for subscriber in self.tracks[track].subscribers.clone() {
            self.attach_video(subscriber, track);
        }
    }

    /// Puts a track of video behind a slot, if its format is known and the subscriber decodes it.
    pub(super) fn attach_video(&mut self, subscriber: Subscriber, track: usize) {
        let entry = &self.tracks[track];
        let extensions: &ExtensionIds = &entry.extensions;
        let (Some(track), Some(listening)) = (
            entry.video.as_deref(),
            self.peers[subscriber.peer].listening.as_deref_mut(),
        ) else {
            return;
        };
        let Some(video) = listening.slots[subscriber.slot].video_mut() else {
            return;
        };
        match track.format_for(&video.formats) {
            Some(format) => video.forwarder.attach(extensions, format, track.layering()),
            // What played here before must not vouch for what plays now.
            None => video.forwarder.detach(),
        }
        video.retarget(track.streams.len() as u8);
    }
}

/// Makes a retransmission (RFC 4588) the packet that it repeats, in place; `None` if it repeats
/// nothing.
fn unwrap_rtx<'a>(
    packet: &'a mut [u8],
    header: &Header,
    ssrc: u32,
    payload_type: u8,
) -> Option<&'a mut [u8]> {
    if header.payload(packet).ok()?.len() < 2 {
        return None;
    }
    let original = [packet[header.len], packet[header.len + 1]];
    packet.copy_within(..header.len, 2);
    let packet = &mut packet[2..];
    packet[1] = packet[1] & 0x80 | payload_type;
    packet[2..4].copy_from_slice(&original);
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    Some(packet)
}
