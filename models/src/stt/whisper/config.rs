//! Whisper's part of the manifest.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::seq2seq::Dimensions;

/// Samples between two frames of the mel spectrogram; nothing else is exported.
pub const HOP: usize = 160;

/// Length of the Fourier transform; nothing else is exported.
pub const N_FFT: usize = 400;

/// `config` of a Whisper model's `model.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WhisperConfig {
    /// Mel bands: 80, or 128 from large-v3 on.
    pub n_mels: usize,
    /// Length of the Fourier transform, 400.
    pub n_fft: usize,
    /// Samples between two mel frames, 160.
    pub hop: usize,
    /// Samples a second, 16000.
    pub sample_rate: u32,
    /// Decoder layers.
    pub layers: usize,
    /// Attention heads of a decoder layer.
    pub heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Tokens there are.
    pub vocab_size: usize,
    /// Encoder frames of the longest window: 1500, two mel frames each.
    pub max_source_positions: usize,
    /// Tokens of the longest sequence, prompt included: 448.
    pub max_target_positions: usize,
    /// False for models of English only, which take neither language nor task.
    pub multilingual: bool,
    /// Ids of the special tokens.
    pub tokens: SpecialTokens,
    /// Tokens that are never chosen.
    #[serde(default)]
    pub suppress_tokens: Vec<i64>,
    /// Tokens that are not chosen first.
    #[serde(default)]
    pub begin_suppress_tokens: Vec<i64>,
    /// The latest first timestamp, in steps of 20 ms; 50 in openai's decoding.
    #[serde(default)]
    pub max_initial_timestamp_index: Option<usize>,
}

/// Ids of the special tokens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SpecialTokens {
    /// `<|startoftranscript|>`.
    pub sot: i64,
    /// `<|endoftext|>`; every token from here on is no text.
    pub eot: i64,
    /// `<|transcribe|>`, of multilingual models.
    pub transcribe: Option<i64>,
    /// `<|translate|>`, of multilingual models.
    pub translate: Option<i64>,
    /// `<|notimestamps|>`.
    pub no_timestamps: i64,
    /// `<|0.00|>`; the next ones are 20 ms later each.
    pub timestamp_begin: i64,
    /// `<|nospeech|>`.
    pub no_speech: Option<i64>,
    /// `<|startofprev|>`.
    pub sot_prev: Option<i64>,
    /// Languages by their code, such as `en`.
    #[serde(default)]
    pub languages: BTreeMap<String, i64>,
}

impl WhisperConfig {
    /// What does not fit together, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let tokens = &self.tokens;
        let ids = [tokens.sot, tokens.eot, tokens.no_timestamps].into_iter();
        let optional = [
            tokens.transcribe,
            tokens.translate,
            tokens.no_speech,
            tokens.sot_prev,
        ];
        let mut all = ids
            .chain(optional.into_iter().flatten())
            .chain(tokens.languages.values().copied());
        let vocab = self.vocab_size as i64;
        if (self.n_fft, self.hop, self.sample_rate) != (N_FFT, HOP, super::super::SAMPLE_RATE) {
            return Some("its features are not Whisper's (n_fft 400, hop 160, 16 kHz)".into());
        }
        if self.n_mels == 0 || self.layers == 0 || self.max_source_positions == 0 {
            return Some("n_mels, layers or max_source_positions is 0".into());
        }
        if let Some(token) = all.find(|token| !(0..vocab).contains(token)) {
            return Some(format!(
                "it names the token {token} of a vocabulary of {vocab}"
            ));
        }
        if self.multilingual && (tokens.transcribe.is_none() || tokens.languages.is_empty()) {
            return Some("it is multilingual but names no languages or tasks".into());
        }
        None
    }

    /// Sizes of the decoder.
    pub fn dimensions(&self) -> Dimensions {
        Dimensions {
            layers: self.layers,
            heads: self.heads,
            head_dim: self.head_dim,
            vocab_size: self.vocab_size,
            max_positions: self.max_target_positions,
        }
    }

    /// Samples of the longest window.
    pub fn window_samples(&self) -> usize {
        2 * self.max_source_positions * HOP
    }
}
