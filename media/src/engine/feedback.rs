//! Keyframe requests, transport-wide feedback and probes, when they are due.

use super::reports::send_compound;
use super::slot::Stream;
use super::{Engine, Transmit};
use crate::clock::Now;
use crate::rtp::forward::TrackPacket;
use crate::rtp::header::Header;

/// Bytes of the largest padding packet: one length byte counts them.
const MAX_PADDING: usize = 255;
/// Feedback packets sent at once.
const MAX_FEEDBACK: usize = 8;
/// Packets before the newest that probes repeat, in turn.
const REPEATED: u16 = 16;

impl Engine {
    /// Asks a publisher for the keyframes that its subscribers wait for.
    pub(super) fn send_keyframe_requests(&mut self, now: &Now, key: usize, out: &mut dyn Transmit) {
        let peer = &mut *self.peers[key];
        let (Some(to), Some(srtp), Some(publishing)) =
            (peer.ice.selected, &mut peer.srtp, &mut peer.publishing)
        else {
            return;
        };
        let sender = peer.report_ssrc;
        for stream in &mut publishing.streams {
            if stream.keyframes.poll(now.mono) {
                self.totals.keyframes_requested += 1;
                send_compound(&mut srtp.0, to, out, |compound| {
                    compound.picture_loss(sender, stream.ssrc);
                });
            }
        }
    }

    /// Tells a publisher when its packets arrived, for its congestion control.
    pub(super) fn send_transport_feedback(
        &mut self,
        now: &Now,
        key: usize,
        out: &mut dyn Transmit,
    ) {
        let peer = &mut *self.peers[key];
        let (Some(to), Some(srtp), Some(publishing)) =
            (peer.ice.selected, &mut peer.srtp, &mut peer.publishing)
        else {
            return;
        };
        let media = publishing.streams.first().map_or(0, |stream| stream.ssrc);
        let Some(arrivals) = &mut publishing.arrivals else {
            return;
        };
        if arrivals.next_at().is_none_or(|at| at > now.mono) {
            return;
        }
        let sender = peer.report_ssrc;
        for _ in 0..MAX_FEEDBACK {
            let mut more = false;
            send_compound(&mut srtp.0, to, out, |compound| {
                more = arrivals.write(compound, sender, media);
            });
            if !more {
                break;
            }
        }
    }

    /// Finds out whether the way to a subscriber has more to give than is sent: packets of video are
    /// sent again, which helps where something was lost, or padding where there are none.
    pub(super) fn send_probes(&mut self, now: &Now, key: usize, out: &mut dyn Transmit) {
        let Engine {
            peers,
            tracks,
            totals,
            ..
        } = self;
        let peer = &mut *peers[key];
        let (Some(to), Some(srtp), Some(listening)) =
            (peer.ice.selected, &peer.srtp, peer.listening.as_deref_mut())
        else {
            return;
        };
        let estimator = &mut listening.estimator;
        if estimator.next_at().is_none_or(|at| at > now.mono) {
            return;
        }
        let Some(probe) = estimator.poll(now.mono) else {
            return;
        };
        let carrier = listening.slots.iter_mut().find_map(|slot| {
            let track = &tracks[slot.track?];
            match &mut slot.stream {
                Stream::Video(video) if video.forwarder.may_repeat() => {
                    Some((&mut video.forwarder, track.video.as_deref()?))
                }
                _ => None,
            }
        });
        let Some((forwarder, video)) = carrier else {
            return;
        };
        let mut left = probe.bytes;
        let mut back = 0;
        while left > 0 {
            let repeated = forwarder.recent(back).filter(|_| left > MAX_PADDING);
            back = (back + 1) % REPEATED;
            let sent = repeated.and_then(|sent| {
                let streams = &video.streams;
                let bytes = streams
                    .get(usize::from(sent.stream))?
                    .cache
                    .get(sent.track_seq)?;
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
            });
            let sent = sent.or_else(|| {
                let padding = left.min(MAX_PADDING);
                let number = || estimator.on_sent(now.mono, padding + HEADER);
                forwarder.padding(padding as u8, number, &srtp.0, out.buffer())
            });
            let Some(len) = sent else { return };
            out.send(len, to);
            left = left.saturating_sub(len);
            peer.counters.bytes_out += len as u64;
            totals.probes_out += 1;
        }
    }
}

/// Bytes of the header of a padding packet.
const HEADER: usize = 24;
