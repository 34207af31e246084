//! Marian's part of the manifest.

use serde::{Deserialize, Deserializer, de};

use crate::seq2seq::{BeamOptions, Dimensions, EarlyStopping};

/// `config` of a Marian model's `model.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MarianConfig {
    /// The token that fills rows; never chosen.
    pub pad: i64,
    /// The token that ends source and target.
    pub eos: i64,
    /// The token that a target starts with, usually [`MarianConfig::pad`].
    pub decoder_start: i64,
    /// Decoder layers.
    pub layers: usize,
    /// Attention heads of a decoder layer.
    pub heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Target tokens there are.
    pub vocab_size: usize,
    /// Source tokens there are.
    pub source_vocab_size: usize,
    /// Tokens of the longest source, and of the longest target.
    pub max_positions: usize,
    /// Target tokens at most, start and end included.
    pub max_length: usize,
    /// The token that a target of the maximal length is made to end with.
    #[serde(default)]
    pub forced_eos: Option<i64>,
    /// Tokens that are never chosen.
    #[serde(default)]
    pub bad_words: Vec<i64>,
    /// Hypotheses of the model's own beam search; 1 is greedy search.
    pub num_beams: usize,
    /// See [`BeamOptions::length_penalty`].
    pub length_penalty: f32,
    /// `false`, `true` or `"never"`.
    #[serde(deserialize_with = "early_stopping")]
    pub early_stopping: EarlyStopping,
    /// Whether scores are made log-probabilities again after some were suppressed.
    #[serde(default)]
    pub renormalize_logits: bool,
    /// `>>es<<` and the like, of a model with several target languages.
    #[serde(default)]
    pub target_tokens: Vec<String>,
}

impl MarianConfig {
    /// What does not fit together, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let target = [self.eos, self.decoder_start].into_iter();
        let mut target = target.chain(self.forced_eos);
        let vocab = self.vocab_size as i64;
        if let Some(token) = target.find(|token| !(0..vocab).contains(token)) {
            return Some(format!(
                "it names the token {token} of a target vocabulary of {vocab}"
            ));
        }
        let vocab = self.source_vocab_size as i64;
        if !(0..vocab).contains(&self.eos) {
            return Some(format!(
                "eos is {}, of a source vocabulary of {vocab}",
                self.eos
            ));
        }
        if self.layers == 0 || self.heads == 0 || self.head_dim == 0 || self.num_beams == 0 {
            return Some("layers, heads, head_dim or num_beams is 0".into());
        }
        if self.max_length < 2 || self.max_positions < 2 {
            return Some("max_length or max_positions leaves no room for a token".into());
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
            max_positions: self.max_positions,
        }
    }

    /// The beam search that the model was published with; `None` where that is greedy search.
    pub fn beam(&self) -> Option<BeamOptions> {
        (self.num_beams > 1).then(|| self.beams(self.num_beams))
    }

    /// Beam search as the model was published with, but with `beams` hypotheses.
    pub fn beams(&self, beams: usize) -> BeamOptions {
        BeamOptions {
            beams,
            length_penalty: self.length_penalty,
            early_stopping: self.early_stopping,
        }
    }
}

fn early_stopping<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EarlyStopping, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Whether(bool),
        Word(String),
    }
    match Value::deserialize(deserializer)? {
        Value::Whether(true) => Ok(EarlyStopping::WhenFull),
        Value::Whether(false) => Ok(EarlyStopping::Heuristic),
        Value::Word(word) if word == "never" => Ok(EarlyStopping::Never),
        Value::Word(word) => Err(de::Error::custom(format!(
            "early_stopping is `{word}`, not true, false or `never`"
        ))),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn config() -> MarianConfig {
        let text = r#"{"pad": 12, "eos": 0, "decoder_start": 12, "layers": 1, "heads": 2, "head_dim": 4,
            "d_model": 8, "vocab_size": 13, "source_vocab_size": 13, "max_positions": 8,
            "max_length": 512, "forced_eos": 0, "bad_words": [12], "num_beams": 4,
            "length_penalty": 1.0, "early_stopping": false, "renormalize_logits": true,
            "target_tokens": [">>es<<", ">>pt_BR<<", ">>cat<<"]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn reads_each_way_to_stop_early() {
        let parse = |value: &str| early_stopping(&mut serde_json::Deserializer::from_str(value));
        assert_eq!(parse("true").unwrap(), EarlyStopping::WhenFull);
        assert_eq!(parse("false").unwrap(), EarlyStopping::Heuristic);
        assert_eq!(parse("\"never\"").unwrap(), EarlyStopping::Never);
        assert!(parse("\"maybe\"").is_err());
        assert_eq!(config().beam().unwrap().beams, 4);
    }

    #[test]
    fn finds_what_does_not_fit() {
        assert_eq!(config().problem(), None);
        let problem = |change: fn(&mut MarianConfig)| {
            let mut config = config();
            change(&mut config);
            config.problem().unwrap()
        };
        assert!(problem(|config| config.decoder_start = 13).contains("13"));
        assert!(problem(|config| config.eos = -1).contains("-1"));
        assert!(problem(|config| config.source_vocab_size = 0).contains("source"));
        assert!(problem(|config| config.heads = 0).contains("heads"));
        assert!(problem(|config| config.max_length = 1).contains("max_length"));
    }
}
