//! The first stage: packets to samples.

use std::sync::Arc;
use std::time::Instant;

use hive_media::audio::EncodedFrame;
use hive_media::audio::jitter::{JitterConfig, JitterStats};
use hive_media::audio::reader::{Decoded, SpeechDecoder};

use super::journal::{DecodedAudio, Journal, Stage};
use super::stage::{self, Listening, StageError};
use crate::supervision::{ChildContext, ChildSpec};
use crate::telemetry;

/// What turns packets into samples; the real one is [`SpeechDecoder`].
pub(crate) trait FrameDecoder {
    /// Takes a packet.
    fn push(&mut self, frame: EncodedFrame, now: Instant);
    /// Gives what is due.
    fn poll(&mut self, now: Instant, sink: &mut dyn FnMut(Decoded<'_>));
    /// When something is due even if no packet comes.
    fn next_at(&self) -> Option<Instant>;
    /// Counters since it was made.
    fn stats(&self) -> JitterStats;
}

impl FrameDecoder for SpeechDecoder {
    fn push(&mut self, frame: EncodedFrame, now: Instant) {
        SpeechDecoder::push(self, frame, now);
    }

    fn poll(&mut self, now: Instant, sink: &mut dyn FnMut(Decoded<'_>)) {
        SpeechDecoder::poll(self, now, sink);
    }

    fn next_at(&self) -> Option<Instant> {
        SpeechDecoder::next_at(self)
    }

    fn stats(&self) -> JitterStats {
        SpeechDecoder::stats(self)
    }
}

/// Makes a decoder for an incarnation.
pub(crate) type MakeDecoder = Arc<dyn Fn() -> Result<Box<dyn FrameDecoder>, String> + Send + Sync>;

/// Makes the real decoder.
pub(crate) fn speech_decoder() -> MakeDecoder {
    Arc::new(|| {
        let decoder =
            SpeechDecoder::new(JitterConfig::default()).map_err(|error| error.to_string())?;
        Ok(Box::new(decoder))
    })
}

/// The stage of a speaker.
pub(crate) fn spec(journal: Arc<Journal>, make: MakeDecoder) -> ChildSpec {
    stage::spec("ingest".into(), move |child| {
        run(journal.clone(), make.clone(), child)
    })
}

async fn run(
    journal: Arc<Journal>,
    make: MakeDecoder,
    child: ChildContext,
) -> Result<(), StageError> {
    let mut listening = Listening::new(journal.ears(Stage::Ingest), &child)?;
    let lease = journal.lease(Stage::Ingest);
    let mut decoder = make().map_err(StageError::Failed)?;
    let mut next = journal.ingest_resume();
    // The speaker's clock at the first packet this decoder has seen.
    let mut zero48: Option<i64> = None;
    let mut counted = JitterStats::default();
    let mut overflowed = journal.packets_dropped();
    loop {
        let (packets, end) = journal.ingest_packets(next);
        let mut audio = Vec::new();
        for packet in packets {
            let zero48 = *zero48.get_or_insert(packet.media48);
            // Every packet meets the decoder at the time of its arrival, whenever that is read, so
            // that a replay decides as the first time did.
            let arrival = packet.frame.arrival;
            decoder.push(packet.frame, arrival);
            decoder.poll(arrival, &mut |piece| {
                audio.extend(on_speaker_clock(zero48, piece))
            });
        }
        next = next.max(end);
        if let Some(zero48) = zero48 {
            let now = tokio::time::Instant::now().into_std();
            decoder.poll(now, &mut |piece| {
                audio.extend(on_speaker_clock(zero48, piece))
            });
        }
        journal.ingest_commit(lease, next, &audio)?;
        count(&mut counted, decoder.stats());
        let dropped = journal.packets_dropped();
        telemetry::audio_frames("overflowed", dropped - overflowed);
        overflowed = dropped;
        match decoder.next_at() {
            Some(at) => tokio::select! {
                ring = listening.ring() => ring?,
                () = tokio::time::sleep_until(at.into()) => {}
            },
            None => listening.ring().await?,
        }
    }
}

/// Moves a piece from the decoder's clock to the speaker's; none if it is from before that began.
fn on_speaker_clock(zero48: i64, piece: Decoded<'_>) -> Option<DecodedAudio> {
    let media48 = u64::try_from(zero48 + piece.media_time48 as i64).ok()?;
    let media16 = u64::try_from(zero48 / 3 + piece.media_time as i64).ok()?;
    Some(DecodedAudio {
        media16,
        pcm16: piece.pcm16.to_vec(),
        media48,
        pcm48: piece.pcm48.to_vec(),
    })
}

fn count(before: &mut JitterStats, now: JitterStats) {
    telemetry::audio_frames("received", now.received - before.received);
    telemetry::audio_frames("late", now.late - before.late);
    telemetry::audio_frames("lost", now.lost - before.lost);
    telemetry::audio_frames("recovered", now.recovered - before.recovered);
    telemetry::audio_frames("concealed", now.concealed - before.concealed);
    *before = now;
}
