//! What subscribers ask for again.

use std::time::Duration;

use super::slot::Stream;
use super::{Engine, Transmit};
use crate::clock::Now;
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;

/// The round trip that is assumed before it is known.
const UNKNOWN_RTT: Duration = Duration::from_millis(100);

impl Engine {
    /// Sends the packets of one NACK entry (the first, and a bit for each of those after it) again, as
    /// far as they are kept and the budget goes.
    pub(super) fn resend(
        &mut self,
        now: &Now,
        key: usize,
        media_ssrc: u32,
        (first, following): (u16, u16),
        out: &mut dyn Transmit,
    ) {
        let Engine {
            peers,
            tracks,
            totals,
            ..
        } = self;
        let peer = &mut *peers[key];
        let rtt = peer.rtt.estimate().unwrap_or(UNKNOWN_RTT);
        let (Some(to), Some(srtp), Some(listening)) =
            (peer.ice.selected, &peer.srtp, peer.listening.as_deref_mut())
        else {
            return;
        };
        let estimator = &mut listening.estimator;
        let Some(slot) = listening
            .slots
            .iter_mut()
            .find(|slot| slot.ssrc() == media_ssrc && slot.nack)
        else {
            return;
        };
        let Some(track) = slot.track.map(|track| &tracks[track]) else {
            return;
        };
        let wanted = (0..=16u16)
            .filter(|&bit| bit == 0 || following & (1 << (bit - 1)) != 0)
            .map(|bit| first.wrapping_add(bit));
        for seq in wanted {
            peer.counters.nacks_received += 1;
            let sent = match &mut slot.stream {
                Stream::Audio(forwarder) => forwarder.requested(seq).and_then(|seq| {
                    let bytes = track.cache.as_ref()?.get(seq)?;
                    let header = Header::parse(bytes).ok()?;
                    let payload = header.payload(bytes).ok()?;
                    let packet = track.packet(bytes, &header, payload, seq)?;
                    forwarder.resend(&packet, &srtp.0, out.buffer())
                }),
                Stream::Video(video) => {
                    let forwarder = &mut video.forwarder;
                    forwarder.requested(now.mono, seq, rtt).and_then(|sent| {
                        let streams = &track.video.as_deref()?.streams;
                        let cache = &streams.get(usize::from(sent.stream))?.cache;
                        let bytes = cache.get(sent.track_seq)?;
                        let header = Header::parse(bytes).ok()?;
                        let packet = TrackPacket {
                            bytes,
                            header: &header,
                            payload: header.payload(bytes).ok()?,
                            primary: None,
                            seq: sent.track_seq,
                        };
                        let number = || estimator.on_sent(now.mono, bytes.len());
                        forwarder.resend(sent, &packet, number, &srtp.0, out.buffer())
                    })
                }
            };
            let Some(len) = sent else { continue };
            out.send(len, to);
            peer.counters.packets_out += 1;
            peer.counters.bytes_out += len as u64;
            peer.counters.retransmitted += 1;
            totals.rtp_out += 1;
            totals.retransmitted += 1;
        }
    }

    /// A subscriber cannot go on without a keyframe.
    pub(super) fn picture_lost(&mut self, now: &Now, key: usize, media_ssrc: u32) {
        let listening = self.peers[key].listening.as_deref_mut();
        let lost = listening.and_then(|listening| {
            let mut slots = listening.slots.iter_mut();
            let slot = slots.find(|slot| slot.ssrc() == media_ssrc)?;
            let track = slot.track?;
            let video = slot.video_mut()?;
            let stream = video
                .forwarder
                .wants_keyframe()
                .or_else(|| video.forwarder.stream())?;
            Some((track, stream))
        });
        if let Some((track, stream)) = lost {
            self.want_keyframe(now.mono, track, stream);
        }
    }
}
