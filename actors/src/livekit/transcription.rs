//! Captions for LiveKit's clients: `lk.transcription` text streams, and the older `Transcription`
//! packet.
//!
//! As LiveKit's own agents do, every change of a segment is a stream of its own with the whole text, and
//! the segment's id tells which text it replaces.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hive_media::PeerId;
use hive_models::Lang;
use prost::Message;

use super::data::{RELIABLE, packet};
use super::language;
use super::member::Member;
use super::proto::{self, TrackSource, data_packet::Value, data_stream};
use super::roster::now_ms;
use crate::events::schema::{Caption, CaptionKind, EventBody};
use crate::events::{Received, receive};
use crate::hall::Hall;
use crate::pipeline::stage::{self, StageError};
use crate::room::{Room, RoomState};
use crate::supervision::ChildSpec;

/// The topic of transcriptions.
const TOPIC: &str = "lk.transcription";

/// Changes of a segment that is not over are told this far apart at least.
const INTERVAL: Duration = Duration::from_millis(250);

/// A segment that is not heard of any more is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// The most bytes of text in one chunk of a stream.
const CHUNK: usize = 15_000;

/// A segment: an utterance, or a clause of its translation.
struct Segment {
    words: Vec<String>,
    told: Option<Instant>,
    heard: Instant,
}

/// The actor that writes down for a room's clients what is said and translated. Of its state nothing
/// has to survive: a segment whose beginning it missed is told once it is final.
pub(crate) fn spec(hall: Arc<Hall>, room: Arc<Room>) -> ChildSpec {
    stage::spec("transcriber".into(), move |_| {
        run(hall.clone(), room.clone())
    })
}

async fn run(hall: Arc<Hall>, room: Arc<Room>) -> Result<(), StageError> {
    let mut receiver = room.bus.receiver();
    let mut transcriber = Transcriber::default();
    loop {
        match receive(&mut receiver).await {
            Received::Event(event) => {
                if let EventBody::Caption(caption) = &event.body {
                    transcriber.take(&hall, &room, caption, Instant::now());
                }
            }
            // What was missed is made up for by the finals.
            Received::Lagged(_) => transcriber.segments.clear(),
            Received::Closed => return Err(StageError::Closed),
        }
    }
}

#[derive(Default)]
struct Transcriber {
    segments: HashMap<String, Segment>,
    streams: u64,
}

impl Transcriber {
    fn take(&mut self, hall: &Hall, room: &Room, caption: &Caption, now: Instant) {
        let id = segment_id(caption);
        let Some((text, over)) = self.update(&id, caption, now) else {
            return;
        };
        let Some(audience) = Audience::of(&room.state.lock(), caption) else {
            return;
        };
        if audience.peers.is_empty() {
            return;
        }
        self.streams += 1;
        let stream = format!("{}-{}", audience.room, self.streams);
        let packets = text_stream(&stream, &id, &text, over, caption, &audience)
            .into_iter()
            .chain([transcription(&id, &text, over, caption, &audience)]);
        for value in packets {
            let packet = packet(&audience.identity, &audience.sid, value);
            let payload = Bytes::from(packet.encode_to_vec());
            hall.worker(room)
                .send_data(None, audience.peers.clone(), RELIABLE, payload);
        }
    }

    /// Takes a caption. Gives the segment's text, and whether it is final, if that should be told now.
    fn update(&mut self, id: &str, caption: &Caption, now: Instant) -> Option<(String, bool)> {
        let words = || caption.words.iter().map(|word| word.text.clone());
        if caption.kind == CaptionKind::Final {
            self.segments.remove(id);
            let text = match &caption.text {
                Some(text) => text.clone(),
                None => words().collect::<Vec<_>>().join(" "),
            };
            return (!text.is_empty()).then_some((text, true));
        }
        self.segments
            .retain(|_, segment| now.saturating_duration_since(segment.heard) < FORGET_AFTER);
        let segment = self.segments.entry(id.to_owned()).or_insert(Segment {
            words: Vec::new(),
            told: None,
            heard: now,
        });
        segment.heard = now;
        if caption.from > segment.words.len() {
            // Its beginning was missed.
            return None;
        }
        let mut text: Vec<String> = segment.words[..caption.from].to_vec();
        text.extend(words());
        if caption.kind == CaptionKind::Committed {
            // What is not certain yet follows in an event of its own, and without it words would
            // vanish for a moment.
            segment.words = text;
            return None;
        }
        let soon = segment
            .told
            .is_some_and(|told| now.saturating_duration_since(told) < INTERVAL);
        if soon || text.is_empty() {
            return None;
        }
        segment.told = Some(now);
        Some((text.join(" "), false))
    }
}

/// Who is told of a caption, and in whose name.
struct Audience {
    peers: Vec<PeerId>,
    room: Arc<str>,
    identity: String,
    sid: String,
    track: String,
}

impl Audience {
    fn of(state: &RoomState, caption: &Caption) -> Option<Audience> {
        let speaker = state.participants.get(&caption.speaker)?;
        let lang: Option<Lang> = caption.lang.parse().ok();
        let peers = state
            .members()
            .filter(|member| !caption.translated || reads(state, member, lang))
            .map(|member| member.subscriber)
            .collect();
        let voice = lang.filter(|_| caption.translated).and_then(|lang| {
            let interpreter = state.interpreter.as_ref()?;
            let track = interpreter.track_of(lang, &caption.speaker)?;
            Some((interpreter, track))
        });
        let (identity, sid, track) = match voice {
            Some((interpreter, track)) => (
                interpreter.identity.to_string(),
                interpreter.profile.sid.to_string(),
                track.to_string(),
            ),
            None => {
                let microphone = speaker
                    .publications
                    .values()
                    .find(|it| it.info.source == i32::from(TrackSource::Microphone));
                (
                    caption.speaker.to_string(),
                    speaker.profile.sid.to_string(),
                    microphone.map_or_else(String::new, |it| it.info.sid.clone()),
                )
            }
        };
        Some(Audience {
            peers,
            room: state.profile.sid.clone(),
            identity,
            sid,
            track,
        })
    }
}

/// Whether a client gets translations into a language: if it listens to it, or says nothing of
/// languages at all.
fn reads(state: &RoomState, member: &Member, lang: Option<Lang>) -> bool {
    let Some(own) = state.participants.get(&member.identity) else {
        return false;
    };
    let attributes = &own.profile.attributes;
    match (language::listens(attributes), lang) {
        (Some(listens), Some(lang)) => listens.contains(&lang),
        (Some(_), None) => false,
        (None, _) => language::speaks(attributes).is_none(),
    }
}

fn segment_id(caption: &Caption) -> String {
    match &caption.clause {
        Some(clause) => format!("{clause}:{}", caption.lang),
        None => caption.utterance.to_string(),
    }
}

fn text_stream(
    stream: &str,
    segment: &str,
    text: &str,
    over: bool,
    caption: &Caption,
    audience: &Audience,
) -> Vec<Value> {
    let attributes: BTreeMap<&str, String> = [
        ("lk.segment_id", segment.to_owned()),
        ("lk.transcription_final", over.to_string()),
        ("lk.transcribed_track_id", audience.track.clone()),
        ("hive.language", caption.lang.clone()),
        ("hive.speaker", caption.speaker.to_string()),
        ("hive.translated", caption.translated.to_string()),
    ]
    .into();
    let header = data_stream::Header {
        stream_id: stream.to_owned(),
        timestamp: now_ms(),
        topic: TOPIC.to_owned(),
        mime_type: "text/plain".to_owned(),
        total_length: Some(text.len() as u64),
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        content_header: Some(data_stream::header::ContentHeader::TextHeader(
            data_stream::TextHeader {
                generated: true,
                ..Default::default()
            },
        )),
        ..Default::default()
    };
    let chunks = chunks(text).into_iter().enumerate().map(|(at, content)| {
        Value::StreamChunk(data_stream::Chunk {
            stream_id: stream.to_owned(),
            chunk_index: at as u64,
            content: content.as_bytes().to_vec(),
            ..Default::default()
        })
    });
    let trailer = data_stream::Trailer {
        stream_id: stream.to_owned(),
        ..Default::default()
    };
    [Value::StreamHeader(header)]
        .into_iter()
        .chain(chunks)
        .chain([Value::StreamTrailer(trailer)])
        .collect()
}

/// The text in pieces of whole characters.
fn chunks(mut text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    while text.len() > CHUNK {
        let end = (0..=CHUNK)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(text.len());
        let (chunk, rest) = text.split_at(end);
        chunks.push(chunk);
        text = rest;
    }
    chunks.push(text);
    chunks
}

fn transcription(
    segment: &str,
    text: &str,
    over: bool,
    caption: &Caption,
    audience: &Audience,
) -> Value {
    let ms = |time: Option<f64>| time.unwrap_or(0.0).max(0.0) as u64;
    Value::Transcription(proto::Transcription {
        transcribed_participant_identity: audience.identity.clone(),
        track_id: audience.track.clone(),
        segments: vec![proto::TranscriptionSegment {
            id: segment.to_owned(),
            text: text.to_owned(),
            start_time: ms(caption.audio_start_ms),
            end_time: ms(caption.audio_end_ms),
            r#final: over,
            language: caption.lang.clone(),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::schema::CaptionWord;

    fn caption(kind: CaptionKind, from: usize, words: &[&str]) -> Caption {
        let words = words.iter().enumerate().map(|(at, text)| CaptionWord {
            i: from + at,
            text: (*text).to_owned(),
            start_ms: None,
            end_ms: None,
        });
        Caption {
            kind,
            speaker: "ann".into(),
            utterance: "ann-1".into(),
            lang: "en".into(),
            translated: false,
            clause: None,
            from,
            words: words.collect(),
            text: None,
            source_from: None,
            source_to: None,
            audio_start_ms: None,
            audio_end_ms: None,
            compute_ms: 0.0,
        }
    }

    #[test]
    fn every_change_is_the_whole_text_and_the_last_is_final() {
        let mut transcriber = Transcriber::default();
        let start = Instant::now();
        let mut told = Vec::new();
        for (at, caption) in [
            (0, caption(CaptionKind::Partial, 0, &["good"])),
            (
                300,
                caption(CaptionKind::Committed, 0, &["good", "morning"]),
            ),
            (350, caption(CaptionKind::Partial, 2, &["every"])),
            (700, caption(CaptionKind::Partial, 2, &["everybody"])),
            (
                710,
                caption(CaptionKind::Final, 0, &["good", "morning", "everybody"]),
            ),
        ] {
            let now = start + Duration::from_millis(at);
            told.extend(transcriber.update("ann-1", &caption, now));
        }
        let expected = [
            ("good", false),
            ("good morning every", false),
            ("good morning everybody", false),
            ("good morning everybody", true),
        ];
        assert_eq!(told, expected.map(|(text, over)| (text.to_owned(), over)));
        assert!(transcriber.segments.is_empty());
    }

    #[test]
    fn a_segment_whose_beginning_was_missed_waits_for_its_end() {
        let mut transcriber = Transcriber::default();
        let now = Instant::now();
        let tail = caption(CaptionKind::Committed, 2, &["everybody"]);
        assert_eq!(transcriber.update("ann-1", &tail, now), None);
        let whole = caption(CaptionKind::Final, 0, &["good", "morning", "everybody"]);
        let told = transcriber.update("ann-1", &whole, now);
        assert_eq!(told, Some(("good morning everybody".to_owned(), true)));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = "ñ".repeat(CHUNK);
        let chunks = chunks(&text);
        assert_eq!(chunks.concat(), text);
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.len() <= CHUNK));
    }
}
