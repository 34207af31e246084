//! What was said, made of the tokens found.

use super::config::{HOP, WhisperConfig};
use super::guards::{Guards, Verdict};
use super::timing;
use super::tokenizer::{WhisperTokenizer, WordTokens};
use crate::seq2seq::Decoded;

/// openai's punctuation that belongs to the word after it, and to the word before it.
const PREPENDED: &str = "\"'“¿([{-";
const APPENDED: &str = "\"'.。,，!！?？:：”)]}、";

/// Samples of an encoder frame, 20 ms.
const FRAME_SAMPLES: u64 = 2 * HOP as u64;

/// A word with its times.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedWord {
    /// As Whisper writes it: with the space before it and its punctuation.
    pub text: String,
    /// Its first sample, counted at 16 kHz from the window's start.
    pub start: u64,
    /// One past its last sample.
    pub end: u64,
    /// Mean probability of its tokens.
    pub probability: f32,
}

/// What Whisper made of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// All of it, special tokens and timestamps left out.
    pub text: String,
    /// Tokens, timestamps included.
    pub tokens: Vec<i64>,
    /// Words with their times; empty when attention was not kept.
    pub words: Vec<TimedWord>,
    /// Mean log-probability of the tokens.
    pub average_log_probability: f32,
    /// Probability that nobody spoke, of models that tell.
    pub no_speech_probability: Option<f32>,
    /// Whether the model came to an end by itself.
    pub ended: bool,
}

impl Transcript {
    /// Judges it.
    pub fn verdict(&self, guards: &Guards) -> Verdict {
        let (text, log_probability) = (&self.text, self.average_log_probability);
        guards.judge(text, log_probability, self.no_speech_probability)
    }

    /// Reads what a search found in a window of `frames` encoder frames.
    pub(super) fn new(
        config: &WhisperConfig,
        tokenizer: &WhisperTokenizer,
        language: &str,
        prompt: &[i64],
        decoded: &Decoded,
        frames: usize,
    ) -> Transcript {
        let words = words(config, tokenizer, language, prompt, decoded, frames);
        Transcript {
            text: tokenizer.decode(&decoded.tokens),
            tokens: decoded.tokens.clone(),
            words,
            average_log_probability: decoded.average_log_probability,
            no_speech_probability: decoded.probed,
            ended: decoded.ended,
        }
    }
}

fn words(
    config: &WhisperConfig,
    tokenizer: &WhisperTokenizer,
    language: &str,
    prompt: &[i64],
    decoded: &Decoded,
    frames: usize,
) -> Vec<TimedWord> {
    let text: Vec<usize> = (0..decoded.tokens.len())
        .filter(|&index| decoded.tokens[index] < config.tokens.eot)
        .collect();
    let (Some(&last), false) = (text.last(), decoded.alignment.is_empty()) else {
        return Vec::new();
    };
    // Context before the start is not part of the alignment.
    let start = prompt.iter().position(|&token| token == config.tokens.sot);
    let start = start.unwrap_or(0).min(decoded.alignment.len());
    let attention = &decoded.alignment[start..];
    // A token begins where the attention of the token before it is; the last word ends where the
    // attention of its last token is, or with the window.
    let row = |index: usize| prompt.len() - start + index - 1;
    let mut rows: Vec<usize> = text.iter().map(|&index| row(index)).collect();
    if row(last + 1) < attention.len() {
        rows.push(row(last + 1));
    }
    let mut onsets = timing::onsets(attention, &rows, frames);
    if onsets.len() == text.len() {
        onsets.push(frames);
    }
    let tokens: Vec<i64> = text.iter().map(|&index| decoded.tokens[index]).collect();
    let probability = |at: usize| decoded.log_probabilities[text[at]].exp();
    let mut at = 0;
    let timed = tokenizer
        .words(&tokens, Some(language))
        .into_iter()
        .map(|WordTokens { text, tokens }| {
            let count = tokens.len();
            let sum: f32 = (at..at + count).map(probability).sum();
            let word = TimedWord {
                text,
                start: onsets[at] as u64 * FRAME_SAMPLES,
                end: onsets[at + count] as u64 * FRAME_SAMPLES,
                probability: sum / count as f32,
            };
            at += count;
            word
        })
        .collect();
    merge_punctuation(timed)
}

/// openai's `merge_punctuations`. As there, times and probability stay those of the word itself.
fn merge_punctuation(words: Vec<TimedWord>) -> Vec<TimedWord> {
    let mut merged: Vec<TimedWord> = Vec::with_capacity(words.len());
    for mut word in words.into_iter().rev() {
        let opens = word.text.starts_with(' ') && PREPENDED.contains(word.text.trim());
        match merged.last_mut() {
            Some(following) if opens => {
                word.text += &following.text;
                following.text = word.text;
            }
            _ => merged.push(word),
        }
    }
    merged.reverse();
    let mut result: Vec<TimedWord> = Vec::with_capacity(merged.len());
    for word in merged {
        match result.last_mut() {
            Some(previous) if !previous.text.ends_with(' ') && APPENDED.contains(&word.text) => {
                previous.text += &word.text;
            }
            _ => result.push(word),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::config;
    use super::super::tokenizer::tests::tokenizer;
    use super::*;

    fn word(text: &str) -> TimedWord {
        TimedWord {
            text: text.into(),
            start: 0,
            end: 0,
            probability: 1.0,
        }
    }

    #[test]
    fn punctuation_joins_its_word() {
        let texts = |words: &[&str]| -> Vec<String> {
            let words = words.iter().map(|text| word(text)).collect();
            merge_punctuation(words)
                .into_iter()
                .map(|word| word.text)
                .collect()
        };
        assert_eq!(
            texts(&[" Hello", ",", " \"", "you", "!", "\""]),
            [" Hello,", " \"you!\""]
        );
        assert_eq!(texts(&[" (", "a", ")", " b"]), [" (a)", " b"]);
        assert_eq!(texts(&["?"]), ["?"]);
    }

    /// ` the` at frames 10–19 and ` cat` at 20–39 of 50, given a prompt of four tokens.
    fn decoded(tokenizer: &WhisperTokenizer) -> Decoded {
        let tokens = tokenizer.encode(" the cat");
        assert_eq!(tokens.len(), 5);
        // Where the token after each fed one is heard.
        let spans = [
            0..2,
            2..4,
            4..6,
            10..20,
            20..25,
            25..30,
            30..35,
            35..40,
            45..50,
        ];
        let alignment: Vec<Arc<[f32]>> = spans
            .iter()
            .map(|span| {
                let heard = |frame| if span.contains(&frame) { 0.1 } else { 0.001 };
                (0..50).map(heard).collect::<Vec<f32>>().into()
            })
            .collect();
        Decoded {
            log_probabilities: vec![0.5_f32.ln(); tokens.len() + 1],
            tokens,
            ended: true,
            score: -1.0,
            average_log_probability: -0.2,
            alignment,
            prompt: 4,
            probed: Some(0.1),
        }
    }

    #[test]
    fn words_have_times_and_probabilities() {
        let (config, tokenizer) = (config(), tokenizer("transcript"));
        let decoded = decoded(&tokenizer);
        let prompt = [260, 261, 263, 267];
        let transcript = Transcript::new(&config, &tokenizer, "en", &prompt, &decoded, 50);
        assert_eq!(transcript.text, " the cat");
        let times: Vec<(&str, u64, u64)> = transcript
            .words
            .iter()
            .map(|word| (word.text.as_str(), word.start / 320, word.end / 320))
            .collect();
        assert_eq!(times[0].0, " the");
        assert_eq!(times[1].0, " cat");
        // The median filter moves edges by up to half its width.
        assert!(
            times[0].1 <= 10 && times[0].2.abs_diff(20) <= 3,
            "{times:?}"
        );
        assert!(times[1].2.abs_diff(43) <= 5, "{times:?}");
        assert!((transcript.words[0].probability - 0.5).abs() < 1e-6);
        assert_eq!(transcript.verdict(&Guards::default()), Verdict::Plausible);
    }

    #[test]
    fn no_attention_no_times() {
        let (config, tokenizer) = (config(), tokenizer("no-times"));
        let mut decoded = decoded(&tokenizer);
        decoded.alignment.clear();
        let transcript = Transcript::new(&config, &tokenizer, "en", &[260], &decoded, 50);
        assert!(transcript.words.is_empty());
        assert_eq!(transcript.text, " the cat");
    }

    #[test]
    fn a_word_cut_off_ends_with_the_window() {
        let (config, tokenizer) = (config(), tokenizer("cut"));
        let mut decoded = decoded(&tokenizer);
        decoded.alignment.pop();
        let prompt = [260, 261, 263, 267];
        let transcript = Transcript::new(&config, &tokenizer, "en", &prompt, &decoded, 50);
        assert_eq!(transcript.words.last().unwrap().end, 50 * 320);
    }
}
