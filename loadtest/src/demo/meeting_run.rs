//! One meeting in one room: everybody joins, speaks, listens and leaves.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::audio::opus::{EncodeTrackError, Frame, encode_track};
use crate::audio::playout::{Played, mix};
use crate::audio::{RATE, wav};
use crate::chaos::{self, Chaos};
use crate::clock::Clock;
use crate::link::LinkSettings;
use crate::peer::events::EventLog;
use crate::peer::listener::Recording;
use crate::peer::publisher::SentPacket;
use crate::peer::{EventsClient, Listener, PeerError, Publisher};
use crate::process::{ProcessTree, Usage};
use crate::score::captions;
use crate::score::forwarding::Published;
use crate::score::report::{self, MeetingRecord, PasserBy, Section, ServerUsage};
use crate::score::{transcript, translation};
use crate::server::HiveProcess;
use crate::speech::Meeting;

use super::{live, vtt};

/// Language spoken.
const SOURCE: &str = "en";

/// Language listened to.
const TARGET: &str = "es";

/// Silence of the events after which the meeting is over.
const QUIET: Duration = Duration::from_millis(2500);

/// Longest wait for the last interpreter's word.
const AFTER: Duration = Duration::from_secs(20);

/// Why a meeting did not take place.
#[derive(Debug, thiserror::Error)]
pub enum MeetingError {
    /// A peer could not join or was thrown out.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The speech could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeTrackError),
    /// What was heard could not be decoded.
    #[error("cannot decode what was heard: {0}")]
    Decode(#[from] opus::Error),
    /// A recording could not be written.
    #[error("cannot write {file}: {reason}")]
    Write {
        /// The file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// A task of this program ended early.
    #[error("a simulated peer failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What a meeting is held with.
pub(super) struct MeetingPlan<'a> {
    pub(super) room: &'a str,
    pub(super) meeting: &'a Meeting,
    pub(super) link: LinkSettings,
    pub(super) chaos: bool,
    /// Where recordings and captions go.
    pub(super) out: &'a Path,
}

/// Hold a meeting and give its figures.
pub(super) async fn hold(
    server: &HiveProcess,
    plan: &MeetingPlan<'_>,
) -> Result<Section, MeetingError> {
    let MeetingPlan { meeting, link, .. } = plan;
    let clock = Clock::start();
    // 5 % is what a sender of this kind would be told by receiver reports at worst.
    let frames = meeting
        .tracks
        .iter()
        .map(|track| encode_track(&track.pcm, 5))
        .collect::<Result<Vec<_>, _>>()?;
    let restarts_before = restarts(server).await;
    let usage_before = usage(server);
    let held = Held::hold(server, plan, &frames, &clock).await?;

    let usage_after = usage(server);
    let restarts = restarts(server).await.saturating_sub(restarts_before);
    let start = clock.seconds(held.start);
    let seconds = meeting.seconds() + 3.0;
    // A player that hides the jitter of both links (a swing of twice ±jitter each), as a browser's
    // would, and waits two frames for FEC.
    let delay = 0.040 + 4.0 * link.jitter_ms / 1000.0;
    let floor_played = held.floor.play(&clock, delay)?;
    let translated_played = held.translated.play(&clock, delay)?;
    write_wav(plan.out, "floor.wav", &floor_played, start, seconds)?;
    write_wav(
        plan.out,
        "translated.wav",
        &translated_played,
        start,
        seconds,
    )?;
    write_captions(plan, &held.events, &clock, start)?;

    let record = MeetingRecord {
        meeting,
        start,
        clock: &clock,
        source: SOURCE,
        target: TARGET,
        published: held.published(&frames),
        events: &held.events,
        floor: &held.floor,
        translated: &held.translated,
        floor_played: &floor_played,
        translated_played: &translated_played,
        link: *link,
        restarts,
        server: ServerUsage {
            cpu_seconds: usage_after.cpu_seconds - usage_before.cpu_seconds,
            children_cpu_seconds: usage_after.children_cpu_seconds
                - usage_before.children_cpu_seconds,
            peak_rss_mb: usage_after.peak_rss_mb,
            children_peak_rss_mb: held.children_peak_rss_mb.max(usage_after.children_rss_mb),
            audio_seconds: meeting.seconds() * meeting.tracks.len() as f64,
        },
        kills: held.kills.clone(),
        passer_by: held.passer_by,
    };
    Ok(report::score(&record))
}

/// What is left of a meeting when all have gone.
struct Held {
    start: Instant,
    speakers: Vec<(Vec<SentPacket>, TracesOf)>,
    events: EventLog,
    floor: Recording,
    translated: Recording,
    kills: BTreeMap<String, usize>,
    passer_by: Option<PasserBy>,
    children_peak_rss_mb: f64,
}

type TracesOf = std::sync::Arc<parking_lot::Mutex<crate::link::runtime::LinkTraces>>;

impl Held {
    async fn hold(
        server: &HiveProcess,
        plan: &MeetingPlan<'_>,
        frames: &[Vec<Frame>],
        clock: &Clock,
    ) -> Result<Self, MeetingError> {
        let MeetingPlan {
            room,
            meeting,
            link,
            ..
        } = plan;
        let signalling = server.signalling();
        let join = |identity: &'static str, lang, slots, salt| {
            Listener::join(
                &signalling,
                room,
                identity,
                lang,
                slots,
                link.reseeded(salt),
            )
        };
        let events =
            EventsClient::follow(&signalling, room, "caption-reader", link.delay()).await?;
        let floor = join("floor-listener", None, frames.len(), 101).await?;
        let translated = join("spanish-listener", Some(TARGET), 1, 102).await?;
        let mut publishers = Vec::new();
        for (n, track) in meeting.tracks.iter().enumerate() {
            let link = link.reseeded(n as u64 + 1);
            let joined = Publisher::join(&signalling, room, &track.identity, SOURCE, link).await?;
            publishers.push(joined);
        }

        // Everybody begins to capture at one moment: all media clocks agree.
        let start = Instant::now() + Duration::from_millis(200);
        let captions = live::show(events.watch(), *clock, start);
        let chaos = plan.chaos.then(|| {
            let (http, key) = server.control();
            Chaos::start(http, key, (*room).to_owned(), link.seed)
        });
        let memory = server.process().map(watch_children);
        let speaking = futures_util::future::join_all(
            publishers
                .iter()
                .zip(frames)
                .map(|(publisher, frames)| publisher.speak(frames, start)),
        );
        let passing = pass_by(&join, meeting.seconds(), start);
        let (sent, passer_by) = tokio::join!(speaking, passing);
        let sent = sent.into_iter().collect::<Result<Vec<_>, _>>()?;

        let kills = chaos.map(Chaos::stop).unwrap_or_default();
        until_quiet(&events).await;
        captions.abort();
        let mut speakers = Vec::new();
        for (publisher, sent) in publishers.into_iter().zip(sent) {
            speakers.push((sent, publisher.traces()));
            publisher.leave().await?;
        }
        let children_peak_rss_mb = match memory {
            Some((task, peak)) => {
                task.abort();
                *peak.lock()
            }
            None => 0.0,
        };
        Ok(Self {
            start,
            speakers,
            floor: floor.leave().await?,
            translated: translated.leave().await?,
            events: events.leave(),
            kills,
            passer_by: passer_by?,
            children_peak_rss_mb,
        })
    }

    fn published<'a>(&'a self, frames: &'a [Vec<Frame>]) -> Vec<Published<'a>> {
        self.speakers
            .iter()
            .zip(frames)
            .map(|((sent, traces), frames)| Published {
                sent,
                frames,
                traces: traces.clone(),
            })
            .collect()
    }
}

/// A listener who comes in the middle of an utterance and goes in the middle of another.
async fn pass_by<F>(
    join: &impl Fn(&'static str, Option<&'static str>, usize, u64) -> F,
    seconds: f64,
    start: Instant,
) -> Result<Option<PasserBy>, PeerError>
where
    F: Future<Output = Result<Listener, PeerError>>,
{
    let joined_at = seconds * 0.4;
    let leaves_at = seconds * 0.6;
    tokio::time::sleep_until((start + Duration::from_secs_f64(joined_at)).into()).await;
    let asked = Instant::now();
    let listener = join("passer-by", Some(TARGET), 1, 103).await?;
    tokio::time::sleep_until((start + Duration::from_secs_f64(leaves_at)).into()).await;
    let recording = listener.leave().await?;
    let first = recording.packets.first();
    Ok(Some(PasserBy {
        joined_at: crate::score::summary::tenth(joined_at),
        first_packet_ms: first
            .map(|packet| crate::score::summary::tenth((packet.at - asked).as_secs_f64() * 1000.0)),
        packets: recording.packets.len(),
    }))
}

/// Wait until every caption is final and no event has come for a while: the last clause is spoken.
async fn until_quiet(events: &EventsClient) {
    let deadline = Instant::now() + AFTER;
    loop {
        let now = Instant::now();
        let quiet = events.with(|log| {
            let silent = log
                .latest
                .is_none_or(|latest| now.saturating_duration_since(latest) > QUIET);
            silent && log.open_captions().is_empty()
        });
        if quiet || now > deadline {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

type Peak = std::sync::Arc<parking_lot::Mutex<f64>>;

/// Sample the memory of the server's child processes.
fn watch_children(process: ProcessTree) -> (tokio::task::JoinHandle<()>, Peak) {
    let peak = Peak::default();
    let seen = peak.clone();
    let task = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(2));
        loop {
            ticks.tick().await;
            let now = process.usage().children_rss_mb;
            let mut peak = seen.lock();
            *peak = peak.max(now);
        }
    });
    (task, peak)
}

fn usage(server: &HiveProcess) -> Usage {
    server
        .process()
        .map(|process| process.usage())
        .unwrap_or_default()
}

/// Restarts so far; metrics that cannot be had count as none.
async fn restarts(server: &HiveProcess) -> u64 {
    match server.metrics().await {
        Ok(metrics) => chaos::restarts(&metrics),
        Err(error) => {
            tracing::warn!(%error, "the server's metrics are not to be had, restarts are not counted");
            0
        }
    }
}

fn write_wav(
    out: &Path,
    name: &str,
    played: &[Played],
    start: f64,
    seconds: f64,
) -> Result<(), MeetingError> {
    let path = out.join(name);
    wav::write_mono(&path, RATE, &mix(played, start, seconds)).map_err(|e| MeetingError::Write {
        file: path.display().to_string(),
        reason: e.to_string(),
    })
}

fn write_captions(
    plan: &MeetingPlan<'_>,
    events: &EventLog,
    clock: &Clock,
    start: f64,
) -> Result<(), MeetingError> {
    let utterances = transcript::utterances(&events.events, SOURCE, clock, start);
    let ends = captions::score(plan.meeting, &utterances, start).ends;
    let clauses = translation::clauses(&events.events, TARGET, clock);
    let files = [
        ("captions.en.vtt", vtt::source_cues(&utterances)),
        (
            "captions.es.vtt",
            vtt::translated_cues(&clauses, &ends, start),
        ),
    ];
    for (name, cues) in files {
        let path = plan.out.join(name);
        std::fs::write(&path, vtt::render(&cues)).map_err(|e| MeetingError::Write {
            file: path.display().to_string(),
            reason: e.to_string(),
        })?;
    }
    Ok(())
}
