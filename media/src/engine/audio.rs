//! Audio in.

use super::datagram::Incoming;
use super::peer::Inbound;
use super::track::Origin;
use super::{Engine, MediaEvent, Transmit};
use crate::clock::Now;
use crate::rtp::OPUS_CLOCK;
use crate::rtp::extension::{Extension, find};
use crate::rtp::nack::NackGenerator;
use crate::rtp::receive::ReceiveStats;

impl Engine {
    /// Takes an authentic packet of a track of audio.
    pub(super) fn on_audio(
        &mut self,
        now: &Now,
        incoming: &Incoming<'_>,
        bytes: &[u8],
        out: &mut dyn Transmit,
    ) {
        let &Incoming {
            key,
            track,
            stream,
            header,
            ..
        } = incoming;
        let peer = &mut *self.peers[key];
        let Some(publishing) = peer.publishing.as_deref_mut().filter(|_| !stream.repair) else {
            self.totals.unknown_stream += 1;
            return;
        };
        let Ok(payload) = header.payload(bytes) else {
            return;
        };
        let entry = &mut self.tracks[track];
        let Origin::Peer { ssrc: current, .. } = &mut entry.origin else {
            return;
        };
        let known = publishing
            .streams
            .iter()
            .position(|stream| stream.ssrc == header.ssrc);
        let at = match known {
            Some(at) => at,
            None => {
                // A source that replaces another goes on above its numbers.
                let offset = match current {
                    Some(_) => (entry.highest_seq | 0xFFFF) + 1,
                    None => 0,
                };
                publishing.replace(*current);
                publishing.streams.push(Inbound {
                    offset,
                    nackable: publishing.nack,
                    anew: offset > 0,
                    ..Inbound::new(
                        header.ssrc,
                        ReceiveStats::new(OPUS_CLOCK),
                        NackGenerator::default(),
                    )
                });
                *current = Some(header.ssrc);
                publishing.streams.len() - 1
            }
        };
        if *current != Some(header.ssrc) {
            // A late packet of the source that was replaced.
            self.totals.unknown_stream += 1;
            return;
        }
        let stream = &mut publishing.streams[at];
        let received = stream.stats.receive(now.mono, header.seq, header.timestamp);
        let seq = received.seq + stream.offset;
        let restarted = received.restarted || std::mem::take(&mut stream.anew);
        let mut reschedule = false;
        if stream.nackable {
            let before = stream.nack.next_at();
            if stream.nack.received(now.mono, received.seq) {
                peer.rtt.repaired(stream.nack.answer());
                peer.counters.recovered += 1;
                self.totals.recovered += 1;
            }
            reschedule = before.is_none() && stream.nack.next_at().is_some();
        }
        let level = entry
            .extensions
            .get(Extension::AudioLevel)
            .and_then(|id| {
                find(bytes, header.extension.as_ref()?, id)?
                    .first()
                    .copied()
            })
            .map(|level| level & 0x7F)
            // A publisher that tells no level speaks quietly while it sends more than DTX.
            .unwrap_or(if payload.len() > 3 { 45 } else { 127 });
        let id = entry.id;
        if !entry.started {
            entry.started = true;
            self.events.push_back(MediaEvent::TrackStarted {
                peer: peer.id,
                track: id,
            });
        }
        let room = peer.room;
        if reschedule {
            self.schedule(key);
        }
        if let Some(room) = self.rooms.get_mut(&room) {
            room.speakers.observe(id, level);
        }
        let Some(packet) = self.tracks[track].packet(bytes, header, payload, seq) else {
            self.totals.rtp_malformed += 1;
            return;
        };
        self.publish_packet(now, track, &packet, restarted, out);
    }
}
