//! The figures that the rooms keep, under the names that `/metrics` shows.

use std::time::Duration;

use hive_models::Lang;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram};

use crate::events::schema::CaptionKind;

const CAPTION: &str = "hive_caption_latency_seconds";
const COMMIT: &str = "hive_commit_latency_seconds";
const TTFT: &str = "hive_ttft_seconds";
const E2E: &str = "hive_e2e_latency_seconds";
const STAGE: &str = "hive_stage_compute_seconds";
const QUEUE_WAIT: &str = "hive_device_queue_wait_seconds";
const BATCH: &str = "hive_device_batch_size";
const REQUESTS_DROPPED: &str = "hive_device_requests_dropped_total";
const AUDIO_REPAIRED: &str = "hive_audio_frames_total";

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
        AUDIO_REPAIRED,
        Unit::Count,
        "Decoded audio frames by what became of them"
    );
    describe_gauge!("hive_rooms", Unit::Count, "Rooms that exist");
    describe_gauge!(
        "hive_participants",
        Unit::Count,
        "Participants of all rooms"
    );
}

/// How old the end of a word is when an event shows it.
pub(crate) fn word_latency(kind: CaptionKind, age_ms: f64) {
    let name = if kind == CaptionKind::Partial {
        CAPTION
    } else {
        COMMIT
    };
    histogram!(name).record((age_ms / 1e3).max(0.0));
}

/// How old the end of a clause is when its translation is there.
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
        counter!(AUDIO_REPAIRED, "what" => what).increment(count);
    }
}
