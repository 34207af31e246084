//! The room's events over WebSocket, as the server documents them (schema version 1).
//!
//! The types are declared here anew: this program shares none with the server, so that it tests
//! what is on the wire.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;

use super::signalling::{PeerError, Role, Signalling};

/// The version of the schema that this program understands.
pub const SCHEMA_VERSION: u32 = 1;

/// An event with its envelope.
#[derive(Debug, Clone, Deserialize)]
pub struct Envelope {
    /// Version of the schema.
    pub v: u32,
    /// Number of the event in its room.
    #[serde(default)]
    pub seq: u64,
    /// The event itself.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Words of a speaker, or their translation.
    Caption(Caption),
    /// The interpreter speaks.
    Speech(Speech),
    /// A speaker started or stopped.
    Vad(Vad),
    /// An actor started, stopped, was restarted, …
    Supervision(Supervision),
    /// Any other type.
    #[serde(other)]
    Other,
}

/// How settled a caption is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptionKind {
    /// May change.
    Partial,
    /// Never changes.
    Committed,
    /// The whole utterance or clause.
    Final,
}

/// Words of a speaker, or their translation.
#[derive(Debug, Clone, Deserialize)]
pub struct Caption {
    /// How settled the words are.
    pub kind: CaptionKind,
    /// Identity of the speaker.
    pub speaker: String,
    /// Utterance, `<speaker>-<n>`.
    pub utterance: String,
    /// Language of the words.
    pub lang: String,
    /// Whether the words are a translation.
    #[serde(default)]
    pub translated: bool,
    /// Index of the first word within the utterance or clause.
    #[serde(default)]
    pub from: usize,
    /// The words.
    #[serde(default)]
    pub words: Vec<CaptionWord>,
    /// Time the engine computed, ms.
    #[serde(default)]
    pub compute_ms: Option<f64>,
    /// Clause of a translation, `<utterance>.<n>`.
    #[serde(default)]
    pub clause: Option<String>,
    /// First source word of a clause, an index into its utterance.
    #[serde(default)]
    pub source_from: Option<usize>,
    /// One past the last source word of a clause.
    #[serde(default)]
    pub source_to: Option<usize>,
    /// The clause as one text.
    #[serde(default)]
    pub text: Option<String>,
}

/// A captioned word.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CaptionWord {
    /// Index within the utterance or clause.
    #[serde(default)]
    pub i: Option<usize>,
    /// The word.
    pub text: String,
    /// Start on the speaker's media clock, ms since its first RTP packet's timestamp.
    #[serde(default)]
    pub start_ms: Option<f64>,
    /// End on the speaker's media clock, ms.
    #[serde(default)]
    pub end_ms: Option<f64>,
}

/// What an interpreter's voice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeechKind {
    /// A clause's first sample is on the wire.
    Started,
    /// A clause is spoken.
    Finished,
    /// The speaker started again: the rest of the clause is dropped.
    Cancelled,
}

/// The interpreter speaks.
#[derive(Debug, Clone, Deserialize)]
pub struct Speech {
    /// What it does.
    pub kind: SpeechKind,
    /// Language spoken.
    pub lang: String,
    /// Clause spoken.
    pub clause: String,
    /// Unix time of the clause's sample on the channel's RTP clock, ms.
    #[serde(default)]
    pub ntp_ms: Option<f64>,
}

/// A speaker started or stopped.
#[derive(Debug, Clone, Deserialize)]
pub struct Vad {
    /// Identity of the speaker.
    pub speaker: String,
    /// Whether they speak now.
    pub speaking: bool,
    /// When, on the speaker's media clock, ms.
    #[serde(default)]
    pub media_ms: Option<f64>,
}

/// An actor started, stopped, was restarted, …
#[derive(Debug, Clone, Deserialize)]
pub struct Supervision {
    /// What happened to it.
    pub kind: String,
    /// Where it is in the tree.
    #[serde(default)]
    pub path: String,
}

/// An event and when it reached this client.
#[derive(Debug, Clone)]
pub struct ReceivedEvent {
    /// When, counting the link's fixed delay (see [`EventsClient::follow`]).
    pub at: Instant,
    /// The event.
    pub envelope: Arc<Envelope>,
}

/// A WebSocket that follows a room.
pub struct EventsClient {
    log: Arc<Mutex<EventLog>>,
    live: broadcast::Sender<ReceivedEvent>,
    reader: JoinHandle<()>,
}

/// All events so far.
#[derive(Debug, Default)]
pub struct EventLog {
    /// Events in the order they arrived.
    pub events: Vec<ReceivedEvent>,
    /// Messages that are not of schema version 1, with what is wrong; the first few.
    pub malformed: Vec<String>,
    /// When the latest message arrived.
    pub latest: Option<Instant>,
    /// Whether the server closed the connection.
    pub closed: bool,
    /// Events that the numbering says there were and that never came.
    pub missing: u64,
    last_seq: Option<u64>,
}

impl EventsClient {
    /// Follow a room's events.
    ///
    /// WebSockets run over TCP, which the link model does not carry. So that captions are judged
    /// over the same distance as sound, every event counts as arrived `delay` after its bytes did:
    /// the link's fixed one-way delay. Loss, which TCP repairs at the price of further delay, is
    /// not modelled for events.
    ///
    /// # Errors
    ///
    /// The server refuses the token or the upgrade.
    pub async fn follow(
        signalling: &Signalling,
        room: &str,
        identity: &str,
        delay: Duration,
    ) -> Result<Self, PeerError> {
        let token = signalling.token(room, identity, Role::Listener).await?;
        let authority = signalling.http().authority();
        let refused = |reason: String| PeerError::Events(reason);
        let mut request = format!("ws://{authority}/rooms/{room}/events")
            .into_client_request()
            .map_err(|e| refused(e.to_string()))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|e| refused(e.to_string()))?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let stream = TcpStream::connect(authority)
            .await
            .map_err(|e| refused(e.to_string()))?;
        // Captions are small and urgent.
        stream
            .set_nodelay(true)
            .map_err(|e| refused(e.to_string()))?;
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
            .await
            .map_err(|e| refused(e.to_string()))?;
        let log = Arc::new(Mutex::new(EventLog::default()));
        let (live, _) = broadcast::channel(1024);
        let (record, announce) = (log.clone(), live.clone());
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                let at = Instant::now() + delay;
                let Message::Text(text) = message else {
                    continue;
                };
                if let Some(event) = record.lock().take(at, &text) {
                    // Nobody may be watching.
                    let _ = announce.send(event);
                }
            }
            record.lock().closed = true;
        });
        Ok(Self { log, live, reader })
    }

    /// Events from now on, for showing; one that lags loses the oldest.
    pub fn watch(&self) -> broadcast::Receiver<ReceivedEvent> {
        self.live.subscribe()
    }

    /// Looks at the events so far.
    pub fn with<T>(&self, look: impl FnOnce(&EventLog) -> T) -> T {
        look(&self.log.lock())
    }

    /// Stop following and hand over all events.
    pub fn leave(self) -> EventLog {
        self.reader.abort();
        std::mem::take(&mut *self.log.lock())
    }
}

impl EventLog {
    /// Most malformed messages kept.
    const MALFORMED: usize = 8;

    /// What went wrong with the events, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.malformed.clone();
        if self.missing > 0 {
            faults.push(format!(
                "{} events are missing by their numbers",
                self.missing
            ));
        }
        if self.closed {
            faults.push("the server closed the connection before the end".to_owned());
        }
        faults
    }

    /// Utterances and clauses of which words were shown and no final caption yet.
    pub fn open_captions(&self) -> BTreeSet<&str> {
        let mut open = BTreeSet::new();
        for event in &self.events {
            let Event::Caption(caption) = &event.envelope.event else {
                continue;
            };
            let id = caption.clause.as_ref().unwrap_or(&caption.utterance);
            match caption.kind {
                CaptionKind::Final => open.remove(id.as_str()),
                _ => open.insert(id.as_str()),
            };
        }
        open
    }

    /// Write down a message; give the event if it is one.
    fn take(&mut self, at: Instant, text: &str) -> Option<ReceivedEvent> {
        let malformed = match serde_json::from_str::<Envelope>(text) {
            Ok(envelope) if envelope.v == SCHEMA_VERSION => {
                self.latest = Some(at);
                if let Some(last) = self.last_seq {
                    self.missing += envelope.seq.saturating_sub(last + 1);
                }
                self.last_seq = self.last_seq.max(Some(envelope.seq));
                let event = ReceivedEvent {
                    at,
                    envelope: Arc::new(envelope),
                };
                self.events.push(event.clone());
                return Some(event);
            }
            Ok(envelope) => format!("version {} is not {SCHEMA_VERSION}", envelope.v),
            Err(e) => format!("{e}: {}", text.chars().take(200).collect::<String>()),
        };
        if self.malformed.len() < Self::MALFORMED {
            self.malformed.push(malformed);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_is_read() {
        let text = r#"{"v":1,"type":"caption","room":"r","seq":3,"at_ms":1.5,"kind":"committed",
            "speaker":"alice","utterance":"alice-0","lang":"en","translated":false,"from":2,
            "words":[{"i":2,"text":"hello","start_ms":1234.0,"end_ms":1500.0}],"compute_ms":4.5}"#;
        let mut log = EventLog::default();
        let event = log.take(Instant::now(), text).unwrap();
        let Event::Caption(caption) = &event.envelope.event else {
            panic!("{event:?}");
        };
        assert_eq!(caption.kind, CaptionKind::Committed);
        assert_eq!((caption.from, caption.words[0].i), (2, Some(2)));
    }

    #[test]
    fn captions_are_open_until_they_are_final() {
        let mut log = EventLog::default();
        let mut take = |kind: &str, more: &str| {
            let text = format!(
                r#"{{"v":1,"type":"caption","kind":"{kind}","speaker":"a","utterance":"a-1","lang":"x"{more}}}"#
            );
            log.take(Instant::now(), &text).unwrap();
        };
        take("partial", "");
        take("committed", r#","translated":true,"clause":"a-1.0""#);
        take("final", "");
        assert_eq!(log.open_captions(), BTreeSet::from(["a-1.0"]));
    }

    #[test]
    fn unknown_types_pass_and_other_versions_are_told() {
        let mut log = EventLog::default();
        let now = Instant::now();
        assert!(
            log.take(now, r#"{"v":1,"type":"weather","room":"r"}"#)
                .is_some()
        );
        assert!(
            log.take(now, r#"{"v":2,"type":"vad","speaker":"a","speaking":true}"#)
                .is_none()
        );
        assert!(log.take(now, "{").is_none());
        assert_eq!(log.malformed.len(), 2);
    }

    #[test]
    fn missing_events_are_counted_by_their_numbers() {
        let mut log = EventLog::default();
        for seq in [3, 4, 7, 7] {
            log.take(
                Instant::now(),
                &format!(r#"{{"v":1,"type":"x","seq":{seq}}}"#),
            );
        }
        assert_eq!(log.missing, 2);
        assert_eq!(log.faults().len(), 1);
    }
}
