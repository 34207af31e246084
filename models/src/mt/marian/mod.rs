//! Marian as OPUS-MT ships it (Junczys-Dowmunt et al., 2018) on any [`Backend`].
//!
//! ```text
//! text ─ MarianTokenizer::encode ─► ids ─ Marian::encode ─► CrossStates ─ Batch::join ─► … ─► Marian::text
//!                                         (padded batch)    Marian::search
//! ```
//!
//! Given the same source, the target ids are those of transformers, greedy or with beams.

mod config;
mod tokenizer;

use std::sync::Arc;

pub use config::MarianConfig;
pub use tokenizer::{MarianTokenizer, TokenizeError, TokenizerError};

use crate::Lang;
use crate::backend::{Backend, Graph, LoadGraphError, RunError, Tensor, expect_ports};
use crate::manifest::{GraphError, MANIFEST, ManifestError, ModelDirectory};
use crate::seq2seq::{
    BeamOptions, CrossStates, DecodeError, Decoded, Decoder, ForceToken, LogitsProcessor,
    Renormalise, Search, SearchOptions, SuppressTokens, split_cross,
};

/// The family's name in manifests.
pub const FAMILY: &str = "marian";

/// What hides a row's padding.
const MASKED: f32 = -1e9;

/// Why a Marian model cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadMarianError {
    /// The manifest does not describe one.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A graph cannot be run.
    #[error(transparent)]
    Graph(#[from] LoadGraphError),
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

impl From<GraphError> for LoadMarianError {
    fn from(error: GraphError) -> LoadMarianError {
        match error {
            GraphError::Manifest(error) => LoadMarianError::Manifest(error),
            GraphError::Load(error) => LoadMarianError::Graph(error),
        }
    }
}

/// A Marian model. Shared by any threads; each run is on the calling thread.
#[derive(Debug)]
pub struct Marian {
    config: MarianConfig,
    tokenizer: MarianTokenizer,
    encoder: Arc<dyn Graph>,
    decoder: Arc<Decoder>,
}

impl Marian {
    /// Loads a model whose files have been verified. Blocks, for seconds.
    pub fn load(
        directory: &ModelDirectory,
        backend: &dyn Backend,
    ) -> Result<Marian, LoadMarianError> {
        directory.expect_family(FAMILY)?;
        let config: MarianConfig = directory.config()?;
        if let Some(reason) = config.problem() {
            return Err(LoadMarianError::Manifest(ManifestError::Config {
                file: directory.path().join(MANIFEST),
                reason,
            }));
        }
        let tokenizer = MarianTokenizer::load(directory, &config)?;
        let encoder = directory.graph(backend, "encoder.onnx")?;
        let cross: Vec<String> = (0..config.layers)
            .flat_map(|layer| ["k", "v"].map(|kind| format!("cross_{kind}.{layer}")))
            .collect();
        let outputs: Vec<(&str, usize)> = cross.iter().map(|name| (name.as_str(), 4)).collect();
        expect_ports(
            &directory.path().join("encoder.onnx"),
            &*encoder,
            &[("ids", 2), ("mask", 4)],
            &outputs,
        )?;
        let decoder = Decoder::new(
            directory.graph(backend, "decoder.onnx")?,
            config.dimensions(),
            &directory.path().join("decoder.onnx"),
        )?;
        Ok(Marian {
            config,
            tokenizer,
            encoder,
            decoder: Arc::new(decoder),
        })
    }

    /// What the manifest says of it.
    pub fn config(&self) -> &MarianConfig {
        &self.config
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &MarianTokenizer {
        &self.tokenizer
    }

    /// Its decoder, for a [`crate::seq2seq::Batch`].
    pub fn decoder(&self) -> &Arc<Decoder> {
        &self.decoder
    }

    /// The token, such as `>>es<<`, that makes a model of several target languages translate to `lang`.
    pub fn target_token(&self, lang: Lang) -> Option<&str> {
        target_token(&self.config.target_tokens, lang)
    }

    /// Runs the encoder once over sources of any lengths, padded to the longest. Sources of like length
    /// waste least.
    pub fn encode(&self, sources: &[&[i64]]) -> Result<Vec<Arc<CrossStates>>, RunError> {
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let width = sources.iter().map(|ids| ids.len()).max().unwrap_or(0);
        if width > self.config.max_positions {
            return Err(RunError::WrongInput {
                expected: format!("ids of at most {} tokens", self.config.max_positions),
                found: format!("{width} tokens"),
            });
        }
        let vocab = self.config.source_vocab_size as i64;
        let mut ids = vec![self.config.eos; sources.len() * width];
        for (row, source) in ids.chunks_exact_mut(width.max(1)).zip(sources) {
            if let Some(id) = source.iter().find(|id| !(0..vocab).contains(*id)) {
                return Err(RunError::WrongInput {
                    expected: format!("ids below {vocab}"),
                    found: format!("{id}: the tokenizer is another model's"),
                });
            }
            row[..source.len()].copy_from_slice(source);
        }
        let mask = Tensor::f32_with(&[sources.len(), 1, 1, width], |target| {
            for (row, source) in target.chunks_exact_mut(width.max(1)).zip(sources) {
                row[source.len()..].fill(MASKED);
            }
        });
        let ids = Tensor::i64(&[sources.len(), width], &ids)?;
        let outputs = self.encoder.run(&[("ids", ids), ("mask", mask)])?;
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        split_cross(&outputs, &self.config.dimensions(), &lengths)
    }

    /// What a search is started with: the model's own suppressions, greedy where `beam` is `None`. A
    /// target has at most `max_length` tokens, start and end included; `None` for the model's limit.
    pub fn search_options(
        &self,
        beam: Option<BeamOptions>,
        max_length: Option<usize>,
    ) -> SearchOptions {
        search_options(&self.config, beam, max_length)
    }

    /// A search, to join a batch with the source's encoding. See [`Marian::search_options`].
    pub fn search(
        &self,
        beam: Option<BeamOptions>,
        max_length: Option<usize>,
    ) -> Result<Search, DecodeError> {
        let options = self.search_options(beam, max_length);
        Search::new(options, self.decoder.dimensions())
    }

    /// The text that a search found.
    pub fn text(&self, decoded: &Decoded) -> String {
        self.tokenizer.decode(&decoded.tokens)
    }
}

fn search_options(
    config: &MarianConfig,
    beam: Option<BeamOptions>,
    max_length: Option<usize>,
) -> SearchOptions {
    let limit = config.max_length.min(config.max_positions);
    let max_length = max_length.map_or(limit, |length| length.min(limit));
    // In transformers' order.
    let mut processors: Vec<Arc<dyn LogitsProcessor>> =
        vec![Arc::new(SuppressTokens(config.bad_words.clone()))];
    if let Some(token) = config.forced_eos {
        let at = max_length.saturating_sub(1);
        processors.push(Arc::new(ForceToken { at, token }));
    }
    if config.renormalize_logits {
        processors.push(Arc::new(Renormalise));
    }
    SearchOptions {
        prompt: vec![config.decoder_start],
        end: config.eos,
        max_length,
        processors,
        beam,
        keep_alignment: false,
        probe: None,
    }
}

/// OPUS-MT names languages by two or three letters, some with a region or a script: `>>es<<`,
/// `>>pt_BR<<`, `>>zho_Hans<<`.
fn target_token(tokens: &[String], lang: Lang) -> Option<&str> {
    let named = |token: &&String| token.trim_matches(['>', '<']).to_ascii_lowercase();
    [lang.as_str(), lang.iso639_3()]
        .into_iter()
        .flat_map(|code| [code.to_string(), format!("{code}_")])
        .find_map(|wanted| {
            tokens.iter().find(|token| match wanted.ends_with('_') {
                true => named(token).starts_with(&wanted),
                false => named(token) == wanted,
            })
        })
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::config::tests::config;
    use super::*;

    #[test]
    fn a_search_keeps_to_the_model_s_limits() {
        let config = config();
        let options = search_options(&config, config.beam(), None);
        assert_eq!(options.prompt, [12]);
        // Longer than it has positions for.
        assert_eq!(options.max_length, 8);
        assert_eq!(options.processors.len(), 3);
        let mut scores = vec![0.0; 13];
        for processor in &options.processors {
            processor.process(&[12, 1, 2, 3, 4, 5, 6], 1, &mut scores);
        }
        assert_eq!(scores[0], 0.0);
        assert!(scores[1..].iter().all(|&score| score == f32::NEG_INFINITY));
        assert_eq!(search_options(&config, None, Some(5)).max_length, 5);
        assert_eq!(search_options(&config, None, Some(99)).max_length, 8);
    }

    #[test]
    fn finds_the_token_of_a_target_language() {
        let tokens = config().target_tokens;
        let token = |lang: &str| target_token(&tokens, lang.parse().unwrap());
        assert_eq!(token("es"), Some(">>es<<"));
        assert_eq!(token("pt"), Some(">>pt_BR<<"));
        assert_eq!(token("ca"), Some(">>cat<<"));
        assert_eq!(token("en"), None);
    }
}
