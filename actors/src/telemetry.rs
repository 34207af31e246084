//! The figures that the rooms keep, under the names that `/metrics` shows.

use std::time::Duration;

use hive_models::Lang;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram};

use crate::events::schema::{CaptionKind, SpeechKind};

const CAPTION: &str = "hive_caption_latency_seconds";
const COMMIT: &str = "hive_commit_latency_seconds";
const TTFT: &str = "hive_ttft_seconds";
const E2E: &str = "hive_e2e_seconds";
const STAGE: &str = "hive_stage_compute_seconds";
const QUEUE_WAIT: &str = "hive_device_queue_wait_seconds";
const BATCH: &str = "hive_device_batch_size";
const REQUESTS_DROPPED: &str = "hive_device_requests_dropped_total";
const AUDIO_FRAMES: &str = "hive_audio_frames_total";
const CAPTIONS: &str = "hive_captions_total";
const UTTERANCES: &str = "hive_utterances_total";
const SPEECH: &str = "hive_speech_total";
const JITTER: &str = "hive_rtp_jitter_seconds";
const ROUND_TRIP: &str = "hive_rtp_rtt_seconds";
const LOST: &str = "hive_rtp_lost_total";

/// Says what the figures are, for the exporter's help lines.
pub(crate) fn describe() {
    let seconds = Unit::Seconds;
    describe_histogram!(
        CAPTION,
        seconds,
        "End of a word to the caption event that first may hold it"
    );
    describe_histogram!(
        COMMIT,
        seconds,
        "End of a word to the event that commits it"
    );
    describe_histogram!(TTFT, seconds, "End of a clause's voice to its translation");
    describe_histogram!(
        E2E,
        seconds,
        "End of a clause's voice to the first sample of its interpretation"
    );
    describe_histogram!(STAGE, seconds, "Compute time of a stage's step");
    describe_histogram!(
        QUEUE_WAIT,
        seconds,
        "Wait of a request in its model's queue"
    );
    describe_histogram!(BATCH, Unit::Count, "Requests answered in one batch");
    describe_counter!(
        REQUESTS_DROPPED,
        Unit::Count,
        "Requests dropped because their stage had died"
    );
    describe_counter!(
        AUDIO_FRAMES,
        Unit::Count,
        "Decoded audio frames by what became of them"
    );
    describe_counter!(CAPTIONS, Unit::Count, "Caption events by kind");
    describe_counter!(
        UTTERANCES,
        Unit::Count,
        "Utterances recognised to their end"
    );
    describe_counter!(
        SPEECH,
        Unit::Count,
        "Interpreted clauses by what became of them"
    );
    describe_histogram!(
        JITTER,
        seconds,
        "Interarrival jitter of a peer, once a second"
    );
    describe_histogram!(ROUND_TRIP, seconds, "Round trip to a peer, once a second");
    describe_counter!(LOST, Unit::Count, "Packets lost on the way here and there");
    describe_counter!("hive_rtp_packets_total", Unit::Count, "Media packets");
    describe_counter!("hive_rtp_bytes_total", Unit::Bytes, "Bytes of datagrams");
    describe_gauge!("hive_peers", Unit::Count, "Peers of a media worker");
    describe_gauge!("hive_tracks", Unit::Count, "Tracks of a media worker");
    describe_counter!(
        "hive_restarts_total",
        Unit::Count,
        "Actors restarted, by what they are"
    );
    describe_counter!(
        "hive_escalations_total",
        Unit::Count,
        "Supervisors that gave up"
    );
    describe_gauge!(
        "hive_mailbox_depth",
        Unit::Count,
        "Messages waiting in the mailboxes of a name"
    );
    describe_gauge!(
        "hive_mailbox_dropped",
        Unit::Count,
        "Messages that those mailboxes dropped"
    );
    describe_gauge!("hive_rooms", Unit::Count, "Rooms that exist");
    describe_gauge!(
        "hive_participants",
        Unit::Count,
        "Participants of all rooms"
    );
}

/// How old the end of a word is when an event shows it: for the first time, and for good.
pub(crate) fn word_latency(first: bool, committed: bool, age_ms: f64) {
    let seconds = (age_ms / 1e3).max(0.0);
    if first {
        histogram!(CAPTION).record(seconds);
    }
    if committed {
        histogram!(COMMIT).record(seconds);
    }
}

/// How old the end of a clause was when the first of its translation was there; that may have been
/// before the end.
pub(crate) fn first_token(lang: Lang, age_ms: f64) {
    histogram!(TTFT, "lang" => lang.to_string()).record((age_ms / 1e3).max(0.0));
}

/// How old the end of a clause is when its interpretation starts.
pub(crate) fn first_sound(lang: Lang, age: Duration) {
    histogram!(E2E, "lang" => lang.to_string()).record(age.as_secs_f64());
}

/// What a step of a stage cost.
pub(crate) fn stage(name: &'static str, compute: Duration) {
    histogram!(STAGE, "stage" => name).record(compute.as_secs_f64());
}

/// How long a request waited for a thread.
pub(crate) fn queue_wait(model: &'static str, wait: Duration) {
    histogram!(QUEUE_WAIT, "model" => model).record(wait.as_secs_f64());
}

/// A batch was answered.
pub(crate) fn batch(model: &'static str, size: usize, compute: Duration) {
    histogram!(BATCH, "model" => model).record(size as f64);
    stage(model, compute);
}

/// A request was withdrawn before it cost anything.
pub(crate) fn request_dropped(model: &'static str) {
    counter!(REQUESTS_DROPPED, "model" => model).increment(1);
}

/// Audio frames of one kind (`received`, `late`, `lost`, `recovered`, `concealed`).
pub(crate) fn audio_frames(what: &'static str, count: u64) {
    if count > 0 {
        counter!(AUDIO_FRAMES, "what" => what).increment(count);
    }
}

/// A caption event was sent.
pub(crate) fn caption(kind: CaptionKind, translated: bool) {
    let kind = match kind {
        CaptionKind::Partial => "partial",
        CaptionKind::Committed => "committed",
        CaptionKind::Final => "final",
    };
    counter!(CAPTIONS, "kind" => kind, "translated" => if translated { "true" } else { "false" })
        .increment(1);
    if kind == "final" && !translated {
        counter!(UTTERANCES).increment(1);
    }
}

/// Something happened to a clause of a channel.
pub(crate) fn speech(kind: SpeechKind) {
    let kind = match kind {
        SpeechKind::Started => "started",
        SpeechKind::Finished => "finished",
        SpeechKind::Cancelled => "cancelled",
    };
    counter!(SPEECH, "kind" => kind).increment(1);
}

/// A peer's interarrival jitter.
pub(crate) fn jitter(direction: &'static str, ms: f64) {
    histogram!(JITTER, "direction" => direction).record(ms / 1e3);
}

/// A peer's round trip.
pub(crate) fn round_trip(ms: f64) {
    histogram!(ROUND_TRIP).record(ms / 1e3);
}

/// Packets lost since the last reading; late ones that were counted as lost come off again.
pub(crate) fn packets_lost(direction: &'static str, count: i64) {
    counter!(LOST, "direction" => direction).increment(u64::try_from(count).unwrap_or(0));
}
