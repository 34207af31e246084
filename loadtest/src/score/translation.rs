//! How soon clauses were translated and spoken.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::clock::Clock;
use crate::peer::events::{CaptionKind, Event, ReceivedEvent, SpeechKind};
use crate::peer::listener::Recording;

use super::captions::{Latency, WordKey};
use super::summary::tenth;

/// A clause of a translation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clause {
    /// Its id, `<utterance>.<n>`.
    pub id: String,
    /// Who said it.
    pub speaker: String,
    /// Utterance it translates a part of.
    pub utterance: String,
    /// First event with a word of it: (when, compute ms).
    pub first_token: Option<(f64, f64)>,
    /// First event with a word of it that stays: (when, compute ms).
    pub first_committed: Option<(f64, f64)>,
    /// Its final event.
    pub finished: Option<f64>,
    /// The range of source words it translates, end exclusive.
    pub source: Option<(usize, usize)>,
    /// The whole translation.
    pub text: String,
    /// Unix time of its first spoken sample on the channel's clock, ms.
    pub spoken_ntp_ms: Option<f64>,
    /// Whether its speech was cut off because the speaker started again.
    pub cancelled: bool,
}

/// Gather the clauses of a language, in order of their first event.
pub fn clauses(events: &[ReceivedEvent], lang: &str, clock: &Clock) -> Vec<Clause> {
    let mut gathered = Vec::<Clause>::new();
    let mut index = HashMap::<String, usize>::new();
    for event in events {
        let id = match &event.envelope.event {
            Event::Caption(c) if c.translated && c.lang == lang => c.clause.as_ref(),
            Event::Speech(s) if s.lang == lang => Some(&s.clause),
            _ => None,
        };
        let Some(id) = id else {
            continue;
        };
        let position = *index.entry(id.clone()).or_insert_with(|| {
            gathered.push(Clause {
                id: id.clone(),
                ..Clause::default()
            });
            gathered.len() - 1
        });
        gathered[position].take(&event.envelope.event, clock.seconds(event.at));
    }
    gathered
}

impl Clause {
    fn take(&mut self, event: &Event, at: f64) {
        match event {
            Event::Caption(caption) => {
                self.speaker.clone_from(&caption.speaker);
                self.utterance.clone_from(&caption.utterance);
                if let (Some(from), Some(to)) = (caption.source_from, caption.source_to) {
                    self.source = Some((from, to));
                }
                let token = (at, caption.compute_ms.unwrap_or(0.0));
                let words = caption.words.iter().map(|word| word.text.as_str());
                let text = match &caption.text {
                    Some(text) => text.clone(),
                    None => words.collect::<Vec<_>>().join(" "),
                };
                if !text.trim().is_empty() {
                    self.first_token.get_or_insert(token);
                    if caption.kind != CaptionKind::Partial {
                        self.first_committed.get_or_insert(token);
                    }
                }
                if caption.kind == CaptionKind::Final {
                    self.finished.get_or_insert(at);
                    self.text = text;
                }
            }
            Event::Speech(speech) => match speech.kind {
                SpeechKind::Started => {
                    if self.spoken_ntp_ms.is_none() {
                        self.spoken_ntp_ms = speech.ntp_ms;
                    }
                }
                SpeechKind::Cancelled => self.cancelled = true,
                SpeechKind::Finished => {}
            },
            _ => {}
        }
    }

    /// When the last of its source words ends, seconds on the media clock.
    pub fn source_end(&self, ends: &HashMap<WordKey, f64>) -> Option<f64> {
        let (from, to) = self.source?;
        (from..to)
            .rev()
            .find_map(|n| ends.get(&(self.utterance.clone(), n)).copied())
    }
}

/// Latencies of a language's clauses.
#[derive(Debug, Clone, Default)]
pub struct TranslationScores {
    /// End of the clause's last voiced sample → its first token at the client.
    pub ttft: Vec<Latency>,
    /// The same, to the first token that stays.
    pub ttft_committed: Vec<Latency>,
    /// The same, to the first RTP packet of its speech at the listener.
    pub e2e: Vec<Latency>,
    /// Sample on the wire by the channel's clock → its packet at the listener, ms.
    pub transit_ms: Vec<f64>,
    /// Translated words in final clauses.
    pub words: usize,
    /// Clauses with a final event.
    pub finished: usize,
    /// Clauses that began and have no final event.
    pub unfinished: usize,
    /// Clauses whose speech was cut off by barge-in.
    pub cancelled: usize,
    /// Final clauses never spoken and not cut off either.
    pub unspoken: usize,
    /// Clauses per speaker.
    pub by_speaker: BTreeMap<String, usize>,
    /// Clauses that were spoken, slowest first.
    pub slowest: Vec<SlowClause>,
}

/// A clause and how long its speech took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowClause {
    /// Its id, `<utterance>.<n>`.
    pub clause: String,
    /// End of its last source word on the media clock, seconds.
    pub source_end: f64,
    /// Its text.
    pub text: String,
    /// To the first token that stays, as lived, ms.
    pub ttft_committed_ms: Option<f64>,
    /// To the first packet of its speech, as lived, ms.
    pub e2e_ms: f64,
}

/// Score the clauses of a language.
///
/// `ends` says when source words end on the media clock, which began at `start` seconds.
pub fn score(
    clauses: &[Clause],
    ends: &HashMap<WordKey, f64>,
    listener: &Recording,
    clock: &Clock,
    start: f64,
) -> TranslationScores {
    let mut scores = TranslationScores::default();
    for clause in clauses {
        if clause.finished.is_some() {
            scores.finished += 1;
        } else {
            scores.unfinished += 1;
        }
        scores.words += clause.text.split_whitespace().count();
        scores.cancelled += usize::from(clause.cancelled);
        *scores.by_speaker.entry(clause.speaker.clone()).or_default() += 1;
        let spoken = clause
            .spoken_ntp_ms
            .and_then(|ntp_ms| listener.arrival_of(ntp_ms, clock));
        if let (Some(ntp_ms), Some(at)) = (clause.spoken_ntp_ms, spoken) {
            scores
                .transit_ms
                .push((at - clock.from_unix_ms(ntp_ms)) * 1000.0);
        }
        if spoken.is_none() && clause.finished.is_some() && !clause.cancelled {
            scores.unspoken += 1;
        }
        let Some(end) = clause.source_end(ends) else {
            continue;
        };
        let latency = |(at, compute_ms): (f64, f64)| Latency {
            lived_ms: (at - start - end) * 1000.0,
            compute_ms,
        };
        scores.ttft.extend(clause.first_token.map(latency));
        scores
            .ttft_committed
            .extend(clause.first_committed.map(latency));
        let compute_ms = clause
            .first_committed
            .map_or(0.0, |(_, compute_ms)| compute_ms);
        let Some(e2e) = spoken.map(|at| latency((at, compute_ms))) else {
            continue;
        };
        scores.e2e.push(e2e);
        scores.slowest.push(SlowClause {
            clause: clause.id.clone(),
            source_end: tenth(end),
            text: clause.text.clone(),
            ttft_committed_ms: clause.first_committed.map(|it| tenth(latency(it).lived_ms)),
            e2e_ms: tenth(e2e.lived_ms),
        });
    }
    scores.slowest.sort_by(|a, b| b.e2e_ms.total_cmp(&a.e2e_ms));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::events::Envelope;
    use std::sync::Arc;

    fn events(clock: &Clock, lines: &[(f64, &str)]) -> Vec<ReceivedEvent> {
        lines
            .iter()
            .map(|(at, json)| ReceivedEvent {
                at: clock.instant(*at),
                envelope: Arc::new(
                    serde_json::from_str::<Envelope>(&format!(r#"{{"v":1,{json}}}"#)).unwrap(),
                ),
            })
            .collect()
    }

    #[test]
    fn a_clause_is_timed_from_the_end_of_its_last_source_word() {
        let clock = Clock::start();
        let head = r#""type":"caption","translated":true,"lang":"es","speaker":"a",
            "utterance":"a-0","clause":"a-0.0""#;
        let partial =
            format!(r#"{head},"kind":"partial","words":[{{"text":"buenos"}}],"compute_ms":3.0"#);
        let last = format!(
            r#"{head},"kind":"final","words":[],"text":"buenos días","source_from":0,"source_to":2"#
        );
        let events = events(&clock, &[(11.9, &partial), (12.4, &last)]);
        let clauses = clauses(&events, "es", &clock);
        assert_eq!(clauses.len(), 1);
        let ends = HashMap::from([(("a-0".to_owned(), 1), 1.5)]);
        let scores = score(&clauses, &ends, &Recording::empty(), &clock, 10.0);
        assert_eq!(scores.words, 2);
        assert!((scores.ttft[0].lived_ms - 400.0).abs() < 0.01);
        assert!((scores.ttft_committed[0].lived_ms - 900.0).abs() < 0.01);
        assert_eq!(
            (scores.finished, scores.unspoken, scores.e2e.len()),
            (1, 1, 0)
        );
    }
}
