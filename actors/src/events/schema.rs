//! The events of a room, version 1, as they go over the wire.
//!
//! One JSON object per WebSocket text frame. Times named `*_ms` are milliseconds: `at_ms` and
//! `ntp_ms` of the Unix epoch, `start_ms`, `end_ms`, `audio_*_ms` and `media_ms` of the speaker's
//! media clock, which starts at the RTP timestamp of the speaker's first packet.

use std::sync::Arc;

use serde::Serialize;

/// The version of this schema; it grows when a consumer of the former version would misread.
pub const SCHEMA_VERSION: u8 = 1;

/// One event of a room.
#[derive(Clone, Debug, Serialize)]
pub struct RoomEvent {
    /// [`SCHEMA_VERSION`].
    pub v: u8,
    /// The room's name.
    pub room: Arc<str>,
    /// Grows by one per event of the room; a gap means that this subscriber was too slow.
    pub seq: u64,
    /// When the event was made, Unix milliseconds.
    pub at_ms: f64,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened, told apart by `type`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// Words of a speaker, or of their translation.
    Caption(Caption),
    /// The interpreter's voice.
    Speech(Speech),
    /// A speaker began or stopped to speak.
    Vad(Vad),
    /// Who is heard now.
    Speakers(Speakers),
    /// Who is in the room.
    Participants(Participants),
    /// What the supervisors did to the room's actors.
    Supervision(Supervision),
    /// Something that the room's people should know of failed.
    Error(ErrorNotice),
}

/// How sure the words of a caption are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptionKind {
    /// The volatile tail: replaces the previous tail of the same utterance or clause.
    Partial,
    /// Words that never change any more; each is sent once.
    Committed,
    /// All words of the utterance or clause, which is over.
    Final,
}

/// A caption of a speaker's words or of their translation.
#[derive(Clone, Debug, Serialize)]
pub struct Caption {
    /// How sure the words are.
    pub kind: CaptionKind,
    /// The speaker's identity.
    pub speaker: Arc<str>,
    /// The utterance: `<speaker>-<n>`.
    pub utterance: Arc<str>,
    /// The language of `words`.
    pub lang: String,
    /// Whether `words` are a translation.
    pub translated: bool,
    /// The clause, `<utterance>.<n>`, of a translation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<Arc<str>>,
    /// The index of the first of `words` in the utterance (in the clause, of a translation).
    pub from: usize,
    /// The words.
    pub words: Vec<CaptionWord>,
    /// The whole text of a final translation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// First source word of a translated clause, as an index into the utterance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_from: Option<usize>,
    /// One past the last source word of a translated clause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_to: Option<usize>,
    /// Start of the first voiced sample, of a final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_start_ms: Option<f64>,
    /// End of the last voiced sample, of a final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_end_ms: Option<f64>,
    /// Compute time that led to this event since the previous one of the same utterance and
    /// language, milliseconds.
    pub compute_ms: f64,
}

/// A word of a caption.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaptionWord {
    /// Index in the utterance (in the clause, of a translation).
    pub i: usize,
    /// The word.
    pub text: String,
    /// Start on the speaker's media clock; translations have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<f64>,
    /// End on the speaker's media clock; translations have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<f64>,
}

/// What the interpreter's voice does with a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeechKind {
    /// Its first sample went out.
    Started,
    /// Its last sample went out.
    Finished,
    /// The speaker went on, so the rest of it was dropped (all of it, if it never started).
    Cancelled,
}

/// The interpreter speaks a clause.
#[derive(Clone, Debug, Serialize)]
pub struct Speech {
    /// What happened.
    pub kind: SpeechKind,
    /// The language of the channel.
    pub lang: String,
    /// The clause.
    pub clause: Arc<str>,
    /// The utterance of the clause.
    pub utterance: Arc<str>,
    /// Whose words are spoken.
    pub speaker: Arc<str>,
    /// When the sample is on the wire by the channel's clock, Unix milliseconds. RTCP sender
    /// reports of the channel use the same clock.
    pub ntp_ms: f64,
    /// The channel's own 48 kHz timestamp of the sample; each listener's RTP timestamps differ
    /// from it by a constant.
    pub rtp: u32,
    /// The channel's track.
    pub track: u64,
}

/// A speaker began or stopped to speak.
#[derive(Clone, Debug, Serialize)]
pub struct Vad {
    /// The speaker's identity.
    pub speaker: Arc<str>,
    /// Whether they speak now.
    pub speaking: bool,
    /// Where on the speaker's media clock the voice begins or ends.
    pub media_ms: f64,
}

/// Who is heard now, loudest first.
#[derive(Clone, Debug, Serialize)]
pub struct Speakers {
    /// The active speakers.
    pub active: Vec<ActiveSpeaker>,
}

/// An active speaker.
#[derive(Clone, Debug, Serialize)]
pub struct ActiveSpeaker {
    /// The speaker's identity.
    pub identity: Arc<str>,
    /// RFC 6464 level: 0 is the loudest, 127 silence, in −dBov.
    pub level_dbov: u8,
}

/// What happened to the participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantsKind {
    /// Everybody there, sent first to a new subscriber.
    Snapshot,
    /// They came, or began to publish or to listen.
    Joined,
    /// They went.
    Left,
}

/// Who is in the room.
#[derive(Clone, Debug, Serialize)]
pub struct Participants {
    /// What happened.
    pub kind: ParticipantsKind,
    /// To whom.
    pub participants: Vec<ParticipantInfo>,
}

/// A participant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParticipantInfo {
    /// Unique in the room.
    pub identity: Arc<str>,
    /// The name to show, if they gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether they publish audio.
    pub publishing: bool,
    /// The language they speak, or listen to if they only listen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
}

/// What a supervisor did.
#[derive(Clone, Debug, Serialize)]
pub struct Supervision {
    /// `started`, `stopped`, `restarted`, `escalated`, `hung` or `mailbox_full`.
    pub kind: &'static str,
    /// The child's path in the tree.
    pub path: String,
    /// Why, if there is a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often the child was restarted so far.
    pub restarts: u64,
}

/// A failure worth telling.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorNotice {
    /// A stable name: `lagged`, `no_speech_engine`, `utterance_failed`, `clause_failed`.
    pub code: &'static str,
    /// What happened and what to do.
    pub message: String,
    /// How many events were missed, of `lagged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: EventBody) -> serde_json::Value {
        serde_json::to_value(RoomEvent {
            v: SCHEMA_VERSION,
            room: "r".into(),
            seq: 7,
            at_ms: 1.5,
            body,
        })
        .expect("events serialise")
    }

    #[test]
    fn a_committed_source_caption_has_the_fields_of_version_1_and_no_others() {
        let json = event(EventBody::Caption(Caption {
            kind: CaptionKind::Committed,
            speaker: "ann".into(),
            utterance: "ann-3".into(),
            lang: "en".into(),
            translated: false,
            clause: None,
            from: 2,
            words: vec![CaptionWord {
                i: 2,
                text: "hello".into(),
                start_ms: Some(1234.0),
                end_ms: Some(1500.0),
            }],
            text: None,
            source_from: None,
            source_to: None,
            audio_start_ms: None,
            audio_end_ms: None,
            compute_ms: 3.5,
        }));
        assert_eq!(
            json,
            serde_json::json!({
                "v": 1, "type": "caption", "room": "r", "seq": 7, "at_ms": 1.5, "kind": "committed",
                "speaker": "ann", "utterance": "ann-3", "lang": "en", "translated": false, "from": 2,
                "words": [{"i": 2, "text": "hello", "start_ms": 1234.0, "end_ms": 1500.0}], "compute_ms": 3.5,
            })
        );
    }

    #[test]
    fn a_speech_event_is_told_apart_by_type_and_kind() {
        let json = event(EventBody::Speech(Speech {
            kind: SpeechKind::Cancelled,
            lang: "es".into(),
            clause: "ann-3.0".into(),
            utterance: "ann-3".into(),
            speaker: "ann".into(),
            ntp_ms: 1.0,
            rtp: 960,
            track: 4,
        }));
        assert_eq!(json["type"], "speech");
        assert_eq!(json["kind"], "cancelled");
        assert_eq!(json["track"], 4);
    }
}
