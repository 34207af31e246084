//! The hot path of video: one packet of a track to those of its subscribers who are sent its layer.

use super::peer::Peer;
use super::track::Subscriber;
use super::{Engine, Totals, Transmit};
use crate::clock::Now;
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;
use crate::video::packet::VideoPacket;

impl Engine {
    /// Sends a packet of video to the subscribers whose layers it is of.
    pub(super) fn publish_video(
        &mut self,
        now: &Now,
        key: usize,
        packet: &VideoPacket<'_>,
        restarted: bool,
        out: &mut dyn Transmit,
    ) {
        let Engine {
            tracks,
            peers,
            totals,
            cname,
            ..
        } = self;
        let track = &tracks[key];
        let stream = usize::from(packet.stream);
        let newest = track
            .video
            .as_deref()
            .and_then(|video| video.streams.get(stream))
            .map_or(0, |stream| stream.highest_seq);
        let mut keyframes = 0u8;
        let mut behind = Vec::new();
        for &subscriber in &track.subscribers {
            let peer = &mut *peers[subscriber.peer];
            let Some(listening) = peer.listening.as_deref_mut() else {
                continue;
            };
            let Some(video) = listening.slots[subscriber.slot].video_mut() else {
                continue;
            };
            if restarted {
                video.forwarder.restart(packet.stream);
            }
            let before = video.forwarder.stream();
            let sent = forward(now, peer, subscriber, packet, totals, out);
            let Some(listening) = peer.listening.as_deref_mut() else {
                continue;
            };
            let slot = &mut listening.slots[subscriber.slot];
            let Some(video) = slot.video_mut() else {
                continue;
            };
            if let Some(stream) = video.forwarder.wants_keyframe() {
                keyframes |= 1 << stream.min(7);
            }
            if sent && before != Some(packet.stream) && packet.rtp.seq < newest {
                behind.push(subscriber);
            }
            if !sent || slot.reported {
                continue;
            }
            slot.reported = true;
            if let (Some(report), Some(to), Some(srtp)) = (
                slot.report(track, now.mono),
                peer.ice.selected,
                &mut peer.srtp,
            ) {
                super::reports::send_sender_report(now, &report, cname, &mut srtp.0, to, out);
            }
        }
        if !behind.is_empty() {
            self.catch_up(now, key, packet, &behind, out);
        }
        for stream in 0..8 {
            if keyframes & (1 << stream) != 0 {
                self.want_keyframe(now.mono, key, stream);
            }
        }
    }

    /// Sends subscribers what came after a packet that came late: the first one of the keyframe from
    /// which on they are sent its stream. Until it was there the rest meant nothing to them.
    fn catch_up(
        &mut self,
        now: &Now,
        key: usize,
        first: &VideoPacket<'_>,
        behind: &[Subscriber],
        out: &mut dyn Transmit,
    ) {
        let Engine {
            tracks,
            peers,
            totals,
            ..
        } = self;
        let Some(stream) = tracks[key]
            .video
            .as_deref_mut()
            .and_then(|video| video.streams.get_mut(usize::from(first.stream)))
        else {
            return;
        };
        let Some(inspector) = stream.inspector.as_mut() else {
            return;
        };
        for seq in first.rtp.seq + 1..=stream.highest_seq {
            let Some(bytes) = stream.cache.get(seq) else {
                continue;
            };
            let Ok(header) = Header::parse(bytes) else {
                continue;
            };
            let Ok(payload) = header.payload(bytes) else {
                continue;
            };
            let rtp = TrackPacket {
                bytes,
                header: &header,
                payload,
                primary: None,
                seq,
            };
            let timestamp = stream.timestamps.extend(header.timestamp);
            let packet = VideoPacket {
                // What the packet is may be told only by the one that came late.
                info: inspector.inspect(&rtp),
                rtp,
                stream: first.stream,
                captured: stream.clock.instant_of(timestamp).unwrap_or(now.mono),
            };
            for &subscriber in behind {
                forward(
                    now,
                    &mut peers[subscriber.peer],
                    subscriber,
                    &packet,
                    totals,
                    out,
                );
            }
        }
    }
}

/// Sends one subscriber a packet, if it is of the layers that it is sent.
fn forward(
    now: &Now,
    peer: &mut Peer,
    subscriber: Subscriber,
    packet: &VideoPacket<'_>,
    totals: &mut Totals,
    out: &mut dyn Transmit,
) -> bool {
    let (Some(to), Some(srtp), Some(listening)) =
        (peer.ice.selected, &peer.srtp, peer.listening.as_deref_mut())
    else {
        return false;
    };
    let estimator = &mut listening.estimator;
    let Some(video) = listening.slots[subscriber.slot].video_mut() else {
        return false;
    };
    let bytes = packet.rtp.bytes.len();
    let number = || estimator.on_sent(now.mono, bytes);
    let sent = video
        .forwarder
        .forward(packet, number, &srtp.0, out.buffer());
    let Some(len) = sent else { return false };
    out.send(len, to);
    listening.reported_loss.sent(now.mono, len);
    peer.counters.packets_out += 1;
    peer.counters.bytes_out += len as u64;
    totals.rtp_out += 1;
    true
}
