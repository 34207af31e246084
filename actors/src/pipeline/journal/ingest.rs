//! What `ingest` reads and appends.

use std::time::Instant;

use hive_media::audio::EncodedFrame;

use super::packets::Packet;
use super::{Fenced, Journal, Lease};

/// Packets before the cursor that a restarted `ingest` decodes again, so that the decoder's and the
/// resampler's state and the jitter buffer's contents are what they were: half a second.
const WARM_UP: u64 = 25;

/// What `ingest` made of packets.
#[derive(Debug)]
pub(crate) struct DecodedAudio {
    /// Media clock of the first of `pcm16`, in samples at 16 kHz.
    pub(crate) media16: u64,
    /// For recognition, 16 kHz.
    pub(crate) pcm16: Vec<f32>,
    /// Media clock of the first of `pcm48`, in samples at 48 kHz.
    pub(crate) media48: u64,
    /// For the channels, 48 kHz.
    pub(crate) pcm48: Vec<f32>,
}

impl Journal {
    /// Takes a packet from the media worker; never waits for a stage.
    pub(crate) fn push_packet(&self, frame: EncodedFrame) {
        let ring = {
            let mut arrivals = self.arrivals.lock();
            let arrival = frame.arrival;
            let listening = arrivals.listening;
            let media48 = if listening {
                arrivals.packets.push(frame)
            } else {
                arrivals.packets.pass(&frame)
            };
            arrivals.anchor.observe(media48 as f64 / 48.0, arrival);
            listening
        };
        if ring {
            self.ingest.ring();
        }
    }

    /// Index of the packet to begin with, some before the cursor. What is decoded of them a second
    /// time is left out when it is appended.
    pub(crate) fn ingest_resume(&self) -> u64 {
        let ingested = self.log.lock().ingested;
        ingested
            .saturating_sub(WARM_UP)
            .max(self.arrivals.lock().packets.first())
    }

    /// The packets from an index on, and the index after them.
    pub(crate) fn ingest_packets(&self, from: u64) -> (Vec<Packet>, u64) {
        let arrivals = self.arrivals.lock();
        (
            arrivals.packets.from(from).cloned().collect(),
            arrivals.packets.end(),
        )
    }

    /// Appends what was decoded and moves the cursor to `read`; channels hear what is new of it.
    pub(crate) fn ingest_commit(
        &self,
        lease: Lease,
        read: u64,
        audio: &[DecodedAudio],
    ) -> Result<(), Fenced> {
        let appended = {
            let log = &mut *self.log.lock();
            log.check(lease)?;
            log.ingested = read;
            self.arrivals.lock().packets.mark_read(read);
            let mut appended = 0;
            for piece in audio {
                appended += log.pcm.append(piece.media16, &piece.pcm16);
                let known = log
                    .floor_next
                    .saturating_sub(piece.media48)
                    .min(piece.pcm48.len() as u64);
                let pcm48 = &piece.pcm48[known as usize..];
                if !pcm48.is_empty() {
                    log.floor_next = piece.media48 + piece.pcm48.len() as u64;
                    for channel in log.floors.values() {
                        channel.floor(&self.speaker.identity, pcm48);
                    }
                }
            }
            log.trim();
            appended > 0 && log.recognising
        };
        if appended {
            self.vad.ring();
        }
        Ok(())
    }

    /// How old the sound is that the speaker's clock has at `media_ms`.
    pub(super) fn age_ms(&self, media_ms: f64, now: Instant) -> Option<f64> {
        self.arrivals.lock().anchor.age_ms(media_ms, now)
    }

    /// When the sound that the speaker's clock has at `media_ms` was heard here.
    pub(super) fn heard_at(&self, media_ms: f64) -> Option<Instant> {
        self.arrivals.lock().anchor.instant_of(media_ms)
    }
}
