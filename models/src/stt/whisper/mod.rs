//! Whisper (Radford et al., 2022) on any [`Backend`].
//!
//! ```text
//! samples ─ MelFrontEnd ─► Mel ─ Whisper::encode ─► CrossStates ─ Batch::join ─► … ─► Transcript
//!                                (padded batch)      Whisper::search
//! ```
//!
//! Windows are as long as their audio: the encoder's positions are cut to it, so that a second of speech
//! costs a thirtieth of the 30 s that the reference always computes.

mod config;
mod guards;
mod mel;
mod prompt;
mod timestamps;
mod timing;
mod tokenizer;
mod transcript;

use std::sync::Arc;

pub use config::{HOP, N_FFT, SpecialTokens, WhisperConfig};
pub use guards::{Guards, Verdict, compression_ratio};
pub use mel::{Mel, MelError, MelFrontEnd};
pub use prompt::{AskError, Task, WhisperOptions};
pub use timestamps::TimestampRules;
pub use tokenizer::{TokenizerError, WhisperTokenizer};
pub use transcript::{TimedWord, Transcript};

use crate::backend::{Backend, Graph, LoadGraphError, RunError, Tensor, expect_ports};
use crate::manifest::{GraphError, ManifestError, ModelDirectory};
use crate::seq2seq::{
    CrossStates, DecodeError, Decoded, Decoder, KvCache, Row, Search, SearchOptions, log_softmax,
    split_cross,
};

/// The family's name in manifests.
pub const FAMILY: &str = "whisper";

/// What hides frames beyond a window's end.
const MASKED: f32 = -1e9;

/// Why a Whisper model cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadWhisperError {
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

impl From<GraphError> for LoadWhisperError {
    fn from(error: GraphError) -> LoadWhisperError {
        match error {
            GraphError::Manifest(error) => LoadWhisperError::Manifest(error),
            GraphError::Load(error) => LoadWhisperError::Graph(error),
        }
    }
}

/// Why a search cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The model cannot do what it is asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The prompt cannot be decoded from.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A Whisper model. Shared by any threads; each run is on the calling thread.
#[derive(Debug)]
pub struct Whisper {
    config: WhisperConfig,
    front_end: MelFrontEnd,
    tokenizer: WhisperTokenizer,
    encoder: Arc<dyn Graph>,
    decoder: Arc<Decoder>,
}

impl Whisper {
    /// Loads a model whose files have been verified. Blocks, for seconds.
    pub fn load(
        directory: &ModelDirectory,
        backend: &dyn Backend,
    ) -> Result<Whisper, LoadWhisperError> {
        directory.expect_family(FAMILY)?;
        let config: WhisperConfig = directory.config()?;
        if let Some(reason) = config.problem() {
            return Err(LoadWhisperError::Manifest(ManifestError::Config {
                file: directory.path().join(crate::manifest::MANIFEST),
                reason,
            }));
        }
        let tokenizer = directory.file("tokenizer.json")?;
        let tokenizer = WhisperTokenizer::load(&tokenizer, config.tokens.eot)?;
        let encoder = directory.graph(backend, "encoder.onnx")?;
        let cross: Vec<String> = (0..config.layers)
            .flat_map(|layer| ["k", "v"].map(|kind| format!("cross_{kind}.{layer}")))
            .collect();
        let outputs: Vec<(&str, usize)> = cross.iter().map(|name| (name.as_str(), 4)).collect();
        expect_ports(
            &directory.path().join("encoder.onnx"),
            &*encoder,
            &[("mel", 3), ("frame_mask", 3), ("mask", 4)],
            &outputs,
        )?;
        let decoder = Decoder::new(
            directory.graph(backend, "decoder.onnx")?,
            config.dimensions(),
            &directory.path().join("decoder.onnx"),
        )?;
        Ok(Whisper {
            front_end: MelFrontEnd::new(config.n_mels, 2 * config.max_source_positions),
            config,
            tokenizer,
            encoder,
            decoder: Arc::new(decoder),
        })
    }

    /// What the manifest says of it.
    pub fn config(&self) -> &WhisperConfig {
        &self.config
    }

    /// Its features.
    pub fn front_end(&self) -> &MelFrontEnd {
        &self.front_end
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &WhisperTokenizer {
        &self.tokenizer
    }

    /// Its decoder, for a [`crate::seq2seq::Batch`].
    pub fn decoder(&self) -> &Arc<Decoder> {
        &self.decoder
    }

    /// Runs the encoder once over windows of any lengths, padded to the longest. Windows of like length
    /// waste least.
    pub fn encode(&self, windows: &[&Mel]) -> Result<Vec<Arc<CrossStates>>, RunError> {
        let frames = windows.iter().map(|mel| mel.frames()).max().unwrap_or(0);
        let (batch, bands) = (windows.len(), self.config.n_mels);
        if let Some(foreign) = windows.iter().find(|mel| mel.bands() != bands) {
            return Err(RunError::WrongInput {
                expected: format!("mel of {bands} bands"),
                found: format!(
                    "{} bands: the features are another model's",
                    foreign.bands()
                ),
            });
        }
        let mel = Tensor::f32_with(&[batch, bands, frames], |target| {
            let mut lines = target.chunks_exact_mut(frames.max(1));
            for window in windows {
                for band in window.values().chunks_exact(window.frames().max(1)) {
                    let Some(line) = lines.next() else { return };
                    line[..band.len()].copy_from_slice(band);
                }
            }
        });
        let frame_mask = Tensor::f32_with(&[batch, 1, frames], |target| {
            for (line, window) in target.chunks_exact_mut(frames.max(1)).zip(windows) {
                line[..window.frames()].fill(1.0);
            }
        });
        let mask = Tensor::f32_with(&[batch, 1, 1, frames / 2], |target| {
            for (line, window) in target.chunks_exact_mut((frames / 2).max(1)).zip(windows) {
                line[window.encoder_frames()..].fill(MASKED);
            }
        });
        let inputs = [("mel", mel), ("frame_mask", frame_mask), ("mask", mask)];
        let outputs = self.encoder.run(&inputs)?;
        let lengths: Vec<usize> = windows.iter().map(|mel| mel.encoder_frames()).collect();
        split_cross(&outputs, &self.config.dimensions(), &lengths)
    }

    /// What a search is started with, for those who change it.
    pub fn search_options(&self, options: &WhisperOptions) -> Result<SearchOptions, AskError> {
        prompt::search_options(&self.config, &self.tokenizer, options)
    }

    /// A search that answers `options`, to join a batch with the window's encoding.
    pub fn search(&self, options: &WhisperOptions) -> Result<Search, StartError> {
        let options = self.search_options(options)?;
        Ok(Search::new(options, self.decoder.dimensions())?)
    }

    /// Reads what a search found. `options` are those it was started with, `frames` the window's
    /// encoder frames.
    pub fn transcript(
        &self,
        options: &WhisperOptions,
        decoded: &Decoded,
        frames: usize,
    ) -> Result<Transcript, AskError> {
        let prompt = prompt::prompt(&self.config, &self.tokenizer, options)?;
        let language = options.language.as_str();
        let (config, tokenizer) = (&self.config, &self.tokenizer);
        Ok(Transcript::new(
            config, tokenizer, language, &prompt, decoded, frames,
        ))
    }

    /// For each window the languages it may be in with their probabilities, likeliest first: one run of
    /// the decoder. Empty for models of English only.
    pub fn detect_language(
        &self,
        windows: &[Arc<CrossStates>],
    ) -> Result<Vec<Vec<(String, f32)>>, RunError> {
        if !self.config.multilingual || windows.is_empty() {
            return Ok(vec![Vec::new(); windows.len()]);
        }
        let start = [self.config.tokens.sot];
        let mut caches = vec![KvCache::new(self.decoder.dimensions()); windows.len()];
        let mut rows: Vec<Row<'_>> = caches
            .iter_mut()
            .map(|cache| Row { ids: &start, cache })
            .collect();
        let output = self.decoder.run(&mut rows, windows)?;
        let languages = &self.config.tokens.languages;
        (0..windows.len())
            .map(|row| {
                let logits = output.logits(row, 0)?;
                let mut scores: Vec<f32> = languages
                    .values()
                    .map(|&token| logits[token as usize])
                    .collect();
                log_softmax(&mut scores);
                let mut likely: Vec<(String, f32)> = languages
                    .keys()
                    .cloned()
                    .zip(scores.into_iter().map(f32::exp))
                    .collect();
                likely.sort_by(|a, b| b.1.total_cmp(&a.1));
                Ok(likely)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
