//! The hot path: one packet of a track to all its subscribers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::{Engine, Subscription, Transmit};
use crate::audio::frame::EncodedFrame;
use crate::clock::Now;
use crate::rtp::forward::TrackPacket;
use crate::rtp::sequence::ExtendTimestamp;

impl Engine {
    /// Forwards a packet of the track at `key`; `restarted` if its numbers have nothing to do with
    /// those before.
    pub(super) fn publish_packet(
        &mut self,
        now: &Now,
        key: usize,
        packet: &TrackPacket<'_>,
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
        let track = &mut tracks[key];
        track.highest_seq = track.highest_seq.max(packet.seq);
        if restarted {
            track.timestamps = ExtendTimestamp::default();
        }
        let timestamp = track.timestamps.extend(packet.header.timestamp);
        track.clock.observe(now.mono, timestamp);
        if let Some(cache) = &mut track.cache {
            cache.insert(packet.seq, packet.bytes);
        }
        if let Some(tap) = &mut track.tap {
            let frame = EncodedFrame {
                seq: packet.header.seq,
                timestamp: packet.header.timestamp,
                payload: Bytes::copy_from_slice(packet.opus()),
                arrival: now.mono,
            };
            if catch_unwind(AssertUnwindSafe(|| tap(frame))).is_err() {
                tracing::error!(track = %track.id, "a track's tap panicked and was removed");
                track.tap = None;
                totals.taps_failed += 1;
            }
        }
        // In a large room most microphones are open, and few are heard.
        if !track.prominent && track.listeners == 0 {
            return;
        }
        for subscriber in &track.subscribers {
            let peer = &mut *peers[subscriber.peer];
            let (Some(to), Some(srtp), Some(listening)) =
                (peer.ice.selected, &mut peer.srtp, &mut peer.listening)
            else {
                continue;
            };
            let slot = &mut listening.slots[subscriber.slot];
            let left_out = !track.prominent || !slot.playing.enabled;
            if left_out && listening.subscription == Subscription::Tracks {
                continue;
            }
            let Some(forwarder) = slot.audio_mut() else {
                continue;
            };
            if restarted {
                forwarder.restart();
            }
            let Some(len) = forwarder.forward(now.mono, packet, &srtp.0, out.buffer()) else {
                continue;
            };
            out.send(len, to);
            peer.counters.packets_out += 1;
            peer.counters.bytes_out += len as u64;
            totals.rtp_out += 1;
            if !slot.reported {
                // The first report comes with the first packet, so that the listener can map its
                // timestamps from the start.
                slot.reported = true;
                if let Some(report) = slot.report(track, now.mono) {
                    super::reports::send_sender_report(now, &report, cname, &mut srtp.0, to, out);
                }
            }
        }
    }
}
