//! One meeting's figures, as they go into `report.json`.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;

use crate::audio::playout::Played;
use crate::clock::Clock;
use crate::link::LinkSettings;
use crate::link::runtime::LinkTraces;
use crate::link::trace::TraceCounts;
use crate::peer::events::EventLog;
use crate::peer::listener::Recording;
use crate::speech::Meeting;

use super::captions::{self, Latency};
use super::forwarding::{self, Published, ServerGap};
use super::journal;
use super::summary::{Summary, mean, tenth};
use super::transcript;
use super::translation::{self, SlowClause};

/// All that was recorded of one meeting.
pub struct MeetingRecord<'a> {
    /// What was said.
    pub meeting: &'a Meeting,
    /// When every speaker's media clock began, seconds on `clock`.
    pub start: f64,
    /// The run's clock.
    pub clock: &'a Clock,
    /// Language spoken.
    pub source: &'a str,
    /// Language translated to.
    pub target: &'a str,
    /// What each speaker sent.
    pub published: Vec<Published<'a>>,
    /// The room's events.
    pub events: &'a EventLog,
    /// What the listener of the floor received.
    pub floor: &'a Recording,
    /// What the listener of the translation received.
    pub translated: &'a Recording,
    /// The floor played out.
    pub floor_played: &'a [Played],
    /// The translation played out.
    pub translated_played: &'a [Played],
    /// The links' settings.
    pub link: LinkSettings,
    /// Restarts counted by the server during the meeting.
    pub restarts: u64,
    /// What the server used during the meeting.
    pub server: ServerUsage,
    /// Stages killed on purpose, by name of the stage.
    pub kills: BTreeMap<String, usize>,
    /// A listener who came and went in the middle of it, if there was one.
    pub passer_by: Option<PasserBy>,
}

/// A listener who joins in the middle of an utterance and leaves in the middle of another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PasserBy {
    /// When they asked to join, seconds of the meeting.
    pub joined_at: f64,
    /// From asking to join to the first RTP packet, ms.
    pub first_packet_ms: Option<f64>,
    /// Packets they received.
    pub packets: usize,
}

/// What the server used during a meeting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ServerUsage {
    /// CPU time of the server process, seconds.
    pub cpu_seconds: f64,
    /// CPU time of its engines' child processes, seconds.
    pub children_cpu_seconds: f64,
    /// Most resident memory of the server process so far, MB.
    pub peak_rss_mb: f64,
    /// Most resident memory of its child processes seen, MB; shared pages count once each.
    pub children_peak_rss_mb: f64,
    /// Seconds of speakers' audio, all speakers together.
    pub audio_seconds: f64,
}

/// What the links did, ms one way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LinkDelay {
    /// Mean delay imposed on speakers' RTP packets.
    pub up: f64,
    /// Mean delay imposed on RTP packets to the listener of the translation.
    pub down: f64,
    /// Fixed delay added to events.
    pub events: f64,
    /// Delays imposed on RTP packets, both directions.
    pub imposed: Summary,
}

/// RTP packets and frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Packets {
    /// Packets that entered the links of speakers and of both listeners.
    pub sent: usize,
    /// Packets of which the links lost a copy.
    pub lost: usize,
    /// Lost packets that came by retransmission, too late to be played or not.
    pub recovered: usize,
    /// Frames the listeners' players had to conceal.
    pub concealed: usize,
    /// The speakers' links.
    pub up: Direction,
    /// The listeners' links.
    pub down: Direction,
    /// Frames whose packet came too late or never, rebuilt by the listeners from in-band FEC.
    pub recovered_by_fec: usize,
}

/// RTP packets of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Direction {
    /// Distinct packets that entered the links.
    pub sent: usize,
    /// Packets of which a copy was lost.
    pub lost: usize,
    /// Lost packets that came by retransmission.
    pub retransmitted: usize,
}

/// What is said of the speech itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeechFacts {
    /// Length, seconds.
    pub seconds: f64,
    /// Speakers.
    pub speakers: usize,
    /// Words said.
    pub words: usize,
    /// Utterances the server made of them.
    pub utterances: usize,
    /// Clauses it translated.
    pub clauses: usize,
}

/// The figures of one meeting. Latencies are ms; `docs/slo.md` defines them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// The speech.
    pub speech: SpeechFacts,
    /// Caption latency, as lived.
    pub caption_latency_ms: Summary,
    /// Caption latency less the link's own delay.
    pub caption_latency_less_link_ms: Summary,
    /// Caption latency less link and reported compute time.
    pub caption_policy_lag_ms: Summary,
    /// Commit latency, as lived.
    pub commit_latency_ms: Summary,
    /// Commit latency less the link's own delay.
    pub commit_latency_less_link_ms: Summary,
    /// Commit latency less link and reported compute time.
    pub policy_lag_ms: Summary,
    /// Time to the first token of a clause's translation, as lived.
    pub ttft_ms: Summary,
    /// The same less the link's own delay.
    pub ttft_less_link_ms: Summary,
    /// The same less link and reported compute time.
    pub ttft_policy_lag_ms: Summary,
    /// Time to the first token that stays, as lived.
    pub ttft_committed_ms: Summary,
    /// The same less the link's own delay.
    pub ttft_committed_less_link_ms: Summary,
    /// End-to-end latency of a clause's speech, as lived.
    pub e2e_ms: Summary,
    /// The same less the link's own delay.
    pub e2e_less_link_ms: Summary,
    /// The same less link and the translation's reported compute time.
    pub e2e_policy_lag_ms: Summary,
    /// What the links imposed.
    pub link_delay_ms: LinkDelay,
    /// Agreed words later changed, per word of the final text.
    pub word_retraction_rate: f64,
    /// Normalised erasure of the display, tail included.
    pub tail_retraction_rate: f64,
    /// Word error rate of the final captions.
    pub wer: f64,
    /// Longest run of words said and not captioned.
    pub longest_deletion: usize,
    /// Words of finished translations.
    pub translated_words: usize,
    /// Clauses that began to be translated and were not finished.
    pub clauses_unfinished: usize,
    /// Finished clauses that no listener heard and that barge-in did not cut off.
    pub clauses_unspoken: usize,
    /// Clauses that barge-in cut off.
    pub clauses_cancelled: usize,
    /// The five clauses whose speech came latest.
    pub slowest_clauses: Vec<SlowClause>,
    /// Clauses per speaker.
    pub clauses_by_speaker: BTreeMap<String, usize>,
    /// Committed words lost.
    pub words_lost: usize,
    /// Committed words doubled.
    pub words_doubled: usize,
    /// Committed words in all, and utterances left open.
    pub journal: journal::Journal,
    /// RTP packets and frames.
    pub packets: Packets,
    /// Sent by the speaker → arrived at the floor's listener, as lived.
    pub forward_latency_ms: Summary,
    /// Reached the server → left the server.
    pub forward_added_ms: Summary,
    /// Silences over 60 ms leaving the server while it held packets to forward.
    pub floor_gaps_by_server: usize,
    /// The first twenty of them.
    pub floor_gaps: Vec<ServerGap>,
    /// Silences over 60 ms at the floor's listener, the links' doing included.
    pub floor_gaps_heard: usize,
    /// Restarts of actors.
    pub restarts: u64,
    /// Stages killed on purpose, by name.
    pub kills: BTreeMap<String, usize>,
    /// A listener who came and went in the middle.
    pub passer_by: Option<PasserBy>,
    /// What the server used.
    pub server: ServerUsage,
    /// How long interpreter packets were on their way by the server's sender reports: about the
    /// downlink's delay, or the reports are wrong and with them `e2e_ms`.
    pub interpreter_transit_ms: Summary,
    /// What is wrong with the events: not of the documented schema, missing, cut off.
    pub event_faults: Vec<String>,
}

/// Score a meeting.
pub fn score(record: &MeetingRecord<'_>) -> Section {
    let utterances = transcript::utterances(
        &record.events.events,
        record.source,
        record.clock,
        record.start,
    );
    let captions = captions::score(record.meeting, &utterances, record.start);
    let clauses = translation::clauses(&record.events.events, record.target, record.clock);
    let translation = translation::score(
        &clauses,
        &captions.ends,
        record.translated,
        record.clock,
        record.start,
    );
    let journal = journal::check(&utterances);
    let forwarding = forwarding::score(&record.published, record.floor, record.clock, record.start);
    let link = link_delay(record);
    let to_events = link.up + link.events;
    let to_listener = link.up + link.down;
    let [caption, caption_less_link, caption_policy] = three(&captions.caption, to_events);
    let [commit, commit_less_link, commit_policy] = three(&captions.commit, to_events);
    let [ttft, ttft_less_link, ttft_policy] = three(&translation.ttft, to_events);
    let [settled, settled_less_link, _] = three(&translation.ttft_committed, to_events);
    let [e2e, e2e_less_link, e2e_policy] = three(&translation.e2e, to_listener);
    Section {
        speech: SpeechFacts {
            seconds: tenth(record.meeting.seconds()),
            speakers: record.meeting.tracks.len(),
            words: captions.reference_words,
            utterances: utterances.len(),
            clauses: clauses.len(),
        },
        caption_latency_ms: caption,
        caption_latency_less_link_ms: caption_less_link,
        caption_policy_lag_ms: caption_policy,
        commit_latency_ms: commit,
        commit_latency_less_link_ms: commit_less_link,
        policy_lag_ms: commit_policy,
        ttft_ms: ttft,
        ttft_less_link_ms: ttft_less_link,
        ttft_policy_lag_ms: ttft_policy,
        ttft_committed_ms: settled,
        ttft_committed_less_link_ms: settled_less_link,
        e2e_ms: e2e,
        e2e_less_link_ms: e2e_less_link,
        e2e_policy_lag_ms: e2e_policy,
        link_delay_ms: link,
        word_retraction_rate: rate(journal.changed, journal.final_words),
        tail_retraction_rate: round4(captions::tail_retraction(&utterances)),
        wer: rate(captions.word_errors, captions.reference_words),
        longest_deletion: captions.longest_deletion,
        translated_words: translation.words,
        clauses_unfinished: translation.unfinished,
        clauses_unspoken: translation.unspoken,
        clauses_cancelled: translation.cancelled,
        slowest_clauses: translation.slowest.into_iter().take(5).collect(),
        clauses_by_speaker: translation.by_speaker,
        words_lost: journal.lost,
        words_doubled: journal.doubled,
        journal,
        packets: packets(record),
        forward_latency_ms: Summary::of(forwarding.lived_ms),
        forward_added_ms: Summary::of(forwarding.added_ms),
        floor_gaps_by_server: forwarding.gaps_by_server.len(),
        floor_gaps: forwarding.gaps_by_server.into_iter().take(20).collect(),
        floor_gaps_heard: forwarding.gaps_heard,
        restarts: record.restarts,
        kills: record.kills.clone(),
        passer_by: record.passer_by,
        server: record.server,
        interpreter_transit_ms: Summary::of(translation.transit_ms),
        event_faults: record.events.faults(),
    }
}

/// A latency as lived, less the link, and less compute time as well.
fn three(latencies: &[Latency], link_ms: f64) -> [Summary; 3] {
    let lived = latencies.iter().map(|latency| latency.lived_ms);
    let policy = latencies
        .iter()
        .map(|latency| latency.lived_ms - link_ms - latency.compute_ms);
    [
        Summary::of(lived.clone()),
        Summary::of(lived.map(|ms| ms - link_ms)),
        Summary::of(policy),
    ]
}

fn link_delay(record: &MeetingRecord<'_>) -> LinkDelay {
    let up = record
        .published
        .iter()
        .flat_map(|published| published.traces.lock().up.delays_ms())
        .collect::<Vec<_>>();
    let down = record.translated.traces.lock().down.delays_ms();
    LinkDelay {
        up: tenth(mean(&up)),
        down: tenth(mean(&down)),
        events: record.link.delay_ms,
        imposed: Summary::of(up.into_iter().chain(down)),
    }
}

fn packets(record: &MeetingRecord<'_>) -> Packets {
    let mut up = Direction::default();
    for published in &record.published {
        up.add(published.traces.lock().up.counts());
    }
    let mut down = Direction::default();
    let of = |traces: &Mutex<LinkTraces>| traces.lock().down.counts();
    down.add(of(&record.floor.traces));
    down.add(of(&record.translated.traces));
    let played = || record.floor_played.iter().chain(record.translated_played);
    Packets {
        sent: up.sent + down.sent,
        lost: up.lost + down.lost,
        recovered: up.retransmitted + down.retransmitted,
        concealed: played().map(|played| played.concealed).sum(),
        up,
        down,
        recovered_by_fec: played().map(|played| played.recovered).sum(),
    }
}

impl Direction {
    fn add(&mut self, counts: TraceCounts) {
        self.sent += counts.sent;
        self.lost += counts.lost;
        self.retransmitted += counts.recovered;
    }
}

fn rate(part: usize, whole: usize) -> f64 {
    round4(part as f64 / whole.max(1) as f64)
}

fn round4(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_given_three_ways() {
        let latencies = [Latency {
            lived_ms: 300.0,
            compute_ms: 20.0,
        }];
        let [lived, less_link, policy] = three(&latencies, 130.0);
        assert_eq!(
            [lived.p50, less_link.p50, policy.p50],
            [Some(300.0), Some(170.0), Some(150.0)]
        );
    }
}
