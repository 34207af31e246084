//! Captions as WebVTT files.

use crate::score::captions::WordKey;
use crate::score::transcript::Utterance;
use crate::score::translation::Clause;

/// Most words in one cue of source captions.
const CUE_WORDS: usize = 10;

/// One cue.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    /// From, seconds.
    pub start: f64,
    /// To, seconds.
    pub end: f64,
    /// Who speaks.
    pub speaker: String,
    /// What they say.
    pub text: String,
}

/// Cues of source captions, on the speakers' media clock.
pub fn source_cues(utterances: &[Utterance]) -> Vec<Cue> {
    let mut cues = Vec::new();
    for utterance in utterances {
        for words in utterance.words().chunks(CUE_WORDS) {
            let start = words.first().and_then(|word| word.start);
            let end = words.last().and_then(|word| word.end);
            let (Some(start), Some(end)) = (start, end) else {
                continue;
            };
            let texts = words
                .iter()
                .map(|word| word.text.as_str())
                .collect::<Vec<_>>();
            cues.push(Cue {
                start,
                end,
                speaker: utterance.speaker.clone(),
                text: texts.join(" "),
            });
        }
    }
    cues
}

/// Cues of translated captions: each clause from when it was first shown until its source has been
/// over for as long as it takes to read it (15 characters a second).
///
/// `start` is when the media clocks began, seconds on the run's clock.
pub fn translated_cues(
    clauses: &[Clause],
    ends: &std::collections::HashMap<WordKey, f64>,
    start: f64,
) -> Vec<Cue> {
    let mut cues = Vec::new();
    for clause in clauses.iter().filter(|clause| !clause.text.is_empty()) {
        let Some((first, _)) = clause.first_token else {
            continue;
        };
        let shown = (first - start).max(0.0);
        let reading = clause.text.chars().count() as f64 / 15.0;
        let over = clause.source_end(ends).unwrap_or(shown);
        cues.push(Cue {
            start: shown,
            end: over.max(shown) + reading.max(1.0),
            speaker: clause.speaker.clone(),
            text: clause.text.clone(),
        });
    }
    cues
}

/// A WebVTT file of the cues, in order of their start.
pub fn render(cues: &[Cue]) -> String {
    let mut cues = cues.iter().collect::<Vec<_>>();
    cues.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut text = "WEBVTT\n".to_owned();
    for cue in cues {
        text.push_str(&format!(
            "\n{} --> {}\n<v {}>{}\n",
            timestamp(cue.start),
            timestamp(cue.end.max(cue.start + 0.001)),
            escape(&cue.speaker),
            escape(&cue.text)
        ));
    }
    text
}

fn timestamp(seconds: f64) -> String {
    let ms = (seconds.max(0.0) * 1000.0).round() as u64;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cues_are_ordered_timed_and_escaped() {
        let cue = |start, text: &str| Cue {
            start,
            end: start + 1.5,
            speaker: "ana".to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(
            render(&[cue(61.25, "b < c"), cue(0.0, "a")]),
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n<v ana>a\n\n\
             00:01:01.250 --> 00:01:02.750\n<v ana>b &lt; c\n"
        );
    }
}
