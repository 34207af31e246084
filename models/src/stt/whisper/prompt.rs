//! What Whisper is asked to do, as tokens.

use std::sync::Arc;

use super::config::WhisperConfig;
use super::timestamps::TimestampRules;
use super::tokenizer::WhisperTokenizer;
use crate::seq2seq::{
    BeamOptions, LogitsProcessor, Probe, SearchOptions, SuppressAtBegin, SuppressTokens,
};

/// What to make of speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// Its words.
    #[default]
    Transcribe,
    /// Its words in English.
    Translate,
}

/// How a window is to be recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct WhisperOptions {
    /// The language spoken, by its code; models of English only ignore it.
    pub language: String,
    /// What to make of it.
    pub task: Task,
    /// Whether the model gives its own timestamps of segments, which takes a few tokens more.
    pub timestamps: bool,
    /// Text that came before the window: committed words, or a glossary. Its last 223 tokens are used.
    pub context: String,
    /// Whether attention is kept, for word times and for policies that look at it.
    pub keep_alignment: bool,
    /// Greedy search when `None`.
    pub beam: Option<BeamOptions>,
    /// Tokens to be found at most; half the longest sequence when `None`.
    pub max_tokens: Option<usize>,
}

impl WhisperOptions {
    /// Greedy transcription of a language with word times and no context.
    pub fn new(language: &str) -> WhisperOptions {
        WhisperOptions {
            language: language.into(),
            task: Task::Transcribe,
            timestamps: false,
            context: String::new(),
            keep_alignment: true,
            beam: None,
            max_tokens: None,
        }
    }
}

/// Why a model cannot do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The language is not among the model's.
    #[error("the model does not know the language `{language}`; it knows {known}")]
    UnknownLanguage {
        /// The language asked for.
        language: String,
        /// The model's.
        known: String,
    },
    /// The model cannot translate.
    #[error("the model is of English only and cannot translate: use a multilingual one")]
    CannotTranslate,
}

/// The tokens that the answer follows: context, start, language, task.
pub(super) fn prompt(
    config: &WhisperConfig,
    tokenizer: &WhisperTokenizer,
    options: &WhisperOptions,
) -> Result<Vec<i64>, AskError> {
    let tokens = &config.tokens;
    let mut prompt = Vec::new();
    let context = options.context.trim();
    if let Some(sot_prev) = tokens.sot_prev
        && !context.is_empty()
    {
        // openai's `_get_initial_tokens`: half a sequence with its start.
        let mut context = tokenizer.encode(&format!(" {context}"));
        let kept = config.max_target_positions / 2 - 1;
        prompt.push(sot_prev);
        prompt.extend(context.split_off(context.len().saturating_sub(kept)));
    }
    prompt.push(tokens.sot);
    if config.multilingual {
        let language = tokens.languages.get(&options.language);
        prompt.push(*language.ok_or_else(|| unknown_language(config, &options.language))?);
        let task = match options.task {
            Task::Transcribe => tokens.transcribe,
            Task::Translate => tokens.translate,
        };
        prompt.push(task.ok_or(AskError::CannotTranslate)?);
    } else if options.task == Task::Translate {
        return Err(AskError::CannotTranslate);
    }
    if !options.timestamps {
        prompt.push(tokens.no_timestamps);
    }
    Ok(prompt)
}

fn unknown_language(config: &WhisperConfig, language: &str) -> AskError {
    let known: Vec<&str> = config.tokens.languages.keys().map(String::as_str).collect();
    AskError::UnknownLanguage {
        language: language.into(),
        known: known.join(", "),
    }
}

/// The search that answers.
pub(super) fn search_options(
    config: &WhisperConfig,
    tokenizer: &WhisperTokenizer,
    options: &WhisperOptions,
) -> Result<SearchOptions, AskError> {
    let prompt = prompt(config, tokenizer, options)?;
    let tokens = &config.tokens;
    // In transformers' order, which the timestamp rules depend on.
    let mut processors: Vec<Arc<dyn LogitsProcessor>> = vec![
        Arc::new(SuppressAtBegin(config.begin_suppress_tokens.clone())),
        Arc::new(SuppressTokens(config.suppress_tokens.clone())),
    ];
    if options.timestamps {
        processors.push(Arc::new(TimestampRules {
            timestamp_begin: tokens.timestamp_begin,
            no_timestamps: tokens.no_timestamps,
            eot: tokens.eot,
            max_initial: config.max_initial_timestamp_index,
        }));
    }
    let sot = prompt.iter().position(|&token| token == tokens.sot);
    let found = options
        .max_tokens
        .unwrap_or(config.max_target_positions / 2);
    Ok(SearchOptions {
        end: tokens.eot,
        max_length: prompt.len() + found,
        processors,
        beam: options.beam,
        keep_alignment: options.keep_alignment,
        probe: tokens
            .no_speech
            .zip(sot)
            .map(|(token, position)| Probe { position, token }),
        prompt,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::super::tokenizer::tests::tokenizer;
    use super::*;

    #[test]
    fn a_prompt_names_language_and_task() {
        let (config, tokenizer) = (config(), tokenizer("prompt"));
        let ask = |options: &WhisperOptions| prompt(&config, &tokenizer, options);
        let mut options = WhisperOptions::new("de");
        assert_eq!(ask(&options).unwrap(), [260, 262, 263, 267]);
        options.timestamps = true;
        options.task = Task::Translate;
        assert_eq!(ask(&options).unwrap(), [260, 262, 264]);
        options.language = "tlh".into();
        let error = ask(&options).unwrap_err().to_string();
        assert!(
            error.contains("`tlh`") && error.contains("de, en"),
            "{error}"
        );
    }

    #[test]
    fn an_english_model_is_told_neither() {
        let (mut config, tokenizer) = (config(), tokenizer("english"));
        config.multilingual = false;
        let mut options = WhisperOptions::new("en");
        assert_eq!(prompt(&config, &tokenizer, &options).unwrap(), [260, 267]);
        options.task = Task::Translate;
        assert_eq!(
            prompt(&config, &tokenizer, &options),
            Err(AskError::CannotTranslate)
        );
    }

    #[test]
    fn the_end_of_the_context_comes_first() {
        let (config, tokenizer) = (config(), tokenizer("context"));
        let mut options = WhisperOptions::new("en");
        options.context = format!("x {} ", "the ".repeat(500));
        let prompt = prompt(&config, &tokenizer, &options).unwrap();
        let kept = config.max_target_positions / 2 - 1;
        assert_eq!(prompt[0], 266);
        assert_eq!(prompt[1..=kept], vec![258; kept]);
        assert_eq!(prompt[kept + 1..], [260, 261, 263, 267]);
        let search = search_options(&config, &tokenizer, &options).unwrap();
        assert_eq!(
            search.probe,
            Some(Probe {
                position: kept + 1,
                token: 265
            })
        );
    }
}
