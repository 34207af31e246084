//! A segment's text as packets: a text stream, and the older `Transcription`.

use std::collections::HashMap;

use super::audience::Audience;
use super::segments::Telling;
use crate::livekit::proto::{self, data_packet::Value, data_stream};
use crate::livekit::roster::now_ms;

/// The topic of transcriptions.
const TOPIC: &str = "lk.transcription";

/// The most bytes of text in one chunk of a stream.
const CHUNK: usize = 15_000;

/// A text stream, whole.
pub(super) fn text_stream(stream: &str, telling: &Telling, audience: &Audience) -> Vec<Value> {
    let Telling { text, caption, .. } = telling;
    let mut attributes: HashMap<String, String> = [
        ("lk.segment_id", telling.segment.clone()),
        ("lk.transcription_final", telling.over.to_string()),
        ("hive.language", caption.lang.clone()),
        ("hive.speaker", caption.speaker.to_string()),
        ("hive.translated", caption.translated.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(track) = &audience.track {
        attributes.insert("lk.transcribed_track_id".to_owned(), track.to_string());
    }
    let header = data_stream::Header {
        stream_id: stream.to_owned(),
        timestamp: now_ms(),
        topic: TOPIC.to_owned(),
        mime_type: "text/plain".to_owned(),
        total_length: Some(text.len() as u64),
        attributes,
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

/// The older packet, which holds one text of a segment.
pub(super) fn transcription(telling: &Telling, audience: &Audience) -> Value {
    let caption = &telling.caption;
    let ms = |time: Option<f64>| time.unwrap_or(0.0).max(0.0) as u64;
    Value::Transcription(proto::Transcription {
        transcribed_participant_identity: audience.identity.to_string(),
        track_id: audience.track.as_deref().unwrap_or_default().to_owned(),
        segments: vec![proto::TranscriptionSegment {
            id: telling.segment.clone(),
            text: telling.text.clone(),
            start_time: ms(caption.audio_start_ms),
            end_time: ms(caption.audio_end_ms),
            r#final: telling.over,
            language: caption.lang.clone(),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = "ñ".repeat(CHUNK);
        let chunks = chunks(&text);
        assert_eq!(chunks.concat(), text);
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.len() <= CHUNK));
    }
}
