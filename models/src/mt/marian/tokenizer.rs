//! Marian's tokenizer: SentencePiece for the pieces, `vocab.json` for their ids, as transformers'
//! `MarianTokenizer` has it.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sentencepiece::SentencePieceProcessor;

use super::MarianConfig;
use crate::manifest::{ManifestError, ModelDirectory};

const EOS: &str = "</s>";
const UNKNOWN: &str = "<unk>";
const PAD: &str = "<pad>";

/// Why there is no tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// The manifest does not list a file.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file is not there.
    #[error("the tokenizer's file {} is missing: pull or import its model again", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A file is not what its name says.
    #[error("{} cannot be used ({reason}): pull or import its model again", .file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A vocabulary is another model's.
    #[error("the vocabulary {} does not belong to its model: {problem}", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

/// Why a text has no tokens that the model could translate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizeError {
    /// The model does not translate to the language, or to one language only.
    #[error("the model has no target `{target}`; it has {}", targets(.known))]
    UnknownTarget {
        /// The language's token asked for.
        target: String,
        /// The model's.
        known: Vec<String>,
    },
    /// The text is too long for the model.
    #[error("a text of {tokens} tokens is longer than the {limit} that the model reads: divide it")]
    TooLong {
        /// Its tokens, the end included.
        tokens: usize,
        /// The model's.
        limit: usize,
    },
    /// SentencePiece refused the text.
    #[error("SentencePiece could not divide the text: {reason}")]
    Refused {
        /// The library's words.
        reason: String,
    },
}

fn targets(tokens: &[String]) -> String {
    match tokens {
        [] => "one target language only, which is not named".into(),
        _ => tokens.join(", "),
    }
}

/// Text to source ids, target ids to text.
pub struct MarianTokenizer {
    source: SentencePieceProcessor,
    target: SentencePieceProcessor,
    /// Ids by piece. The special tokens are not among them: text cannot name them.
    ids: HashMap<String, i64>,
    /// Pieces by target id; `None` for special tokens and gaps.
    pieces: Vec<Option<String>>,
    unknown: i64,
    eos: i64,
    target_tokens: Vec<String>,
    max_tokens: usize,
}

impl fmt::Debug for MarianTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, target) = (self.ids.len(), self.pieces.len());
        write!(f, "MarianTokenizer({source} to {target} pieces)")
    }
}

impl MarianTokenizer {
    /// Reads `source.spm`, `target.spm`, `vocab.json` and, where the manifest lists it,
    /// `target_vocab.json`.
    pub fn load(
        directory: &ModelDirectory,
        config: &MarianConfig,
    ) -> Result<MarianTokenizer, TokenizerError> {
        let source_file = directory.file("vocab.json")?;
        let source = vocabulary(&source_file, config.source_vocab_size, config.eos)?;
        let target = match directory.file("target_vocab.json") {
            Ok(file) => vocabulary(&file, config.vocab_size, config.eos)?,
            Err(_) => source.clone(),
        };
        let unknown = *source
            .get(UNKNOWN)
            .ok_or_else(|| foreign(&source_file, format!("it has no {UNKNOWN}")))?;
        if let Some(token) = config
            .target_tokens
            .iter()
            .find(|token| !source.contains_key(*token))
        {
            return Err(foreign(&source_file, format!("it has no {token}")));
        }
        let mut pieces = vec![None; config.vocab_size];
        for (piece, id) in target {
            let place = usize::try_from(id).ok().and_then(|id| pieces.get_mut(id));
            if let Some(place) = place
                && !is_special(&piece)
            {
                *place = Some(piece);
            }
        }
        let mut ids = source;
        ids.retain(|piece, _| !is_special(piece));
        Ok(MarianTokenizer {
            source: sentencepiece(&directory.file("source.spm")?)?,
            target: sentencepiece(&directory.file("target.spm")?)?,
            ids,
            pieces,
            unknown,
            eos: config.eos,
            target_tokens: config.target_tokens.clone(),
            max_tokens: config.max_positions,
        })
    }

    /// Source ids of plain text, with the end token. `target`, such as `>>es<<`, comes first and says
    /// what a model of several target languages translates to.
    ///
    /// transformers takes `>>es<<` from the beginning of the text instead; here the text is what
    /// somebody said, and neither that nor `</s>` in it means anything.
    pub fn encode(&self, text: &str, target: Option<&str>) -> Result<Vec<i64>, TokenizeError> {
        let mut ids = Vec::new();
        if let Some(target) = target {
            let listed = self.target_tokens.iter().any(|token| token == target);
            let id = listed.then(|| self.ids.get(target)).flatten();
            ids.push(*id.ok_or_else(|| TokenizeError::UnknownTarget {
                target: target.into(),
                known: self.target_tokens.clone(),
            })?);
        }
        // The library takes the encoding of nothing for a failure.
        if !text.is_empty() {
            let pieces = self.source.encode(text);
            let pieces = pieces.map_err(|error| TokenizeError::Refused {
                reason: error.to_string(),
            })?;
            // Said, not asked for: see above.
            let id = |piece: &String| match self.target_tokens.contains(piece) {
                true => None,
                false => self.ids.get(piece),
            };
            ids.extend(
                pieces
                    .iter()
                    .map(|piece| id(&piece.piece).unwrap_or(&self.unknown)),
            );
        }
        ids.push(self.eos);
        if ids.len() > self.max_tokens {
            return Err(TokenizeError::TooLong {
                tokens: ids.len(),
                limit: self.max_tokens,
            });
        }
        Ok(ids)
    }

    /// The text of target ids; special tokens are left out.
    pub fn decode(&self, ids: &[i64]) -> String {
        let pieces: Vec<&str> = ids
            .iter()
            .filter_map(|&id| self.pieces.get(usize::try_from(id).ok()?)?.as_deref())
            .collect();
        // It fails on NUL only, which `vocabulary` has refused.
        let text = self.target.decode_pieces(&pieces).unwrap_or_default();
        // Pieces that only the source's SentencePiece knows come back as they are.
        text.replace('▁', " ").trim().into()
    }
}

fn is_special(piece: &str) -> bool {
    [EOS, UNKNOWN, PAD].contains(&piece)
}

fn foreign(file: &Path, problem: String) -> TokenizerError {
    TokenizerError::Foreign {
        file: file.into(),
        problem,
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TokenizerError> {
    fs::read(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => TokenizerError::Missing { file: file.into() },
        _ => TokenizerError::Unusable {
            file: file.into(),
            reason: error.to_string(),
        },
    })
}

fn vocabulary(file: &Path, size: usize, eos: i64) -> Result<HashMap<String, i64>, TokenizerError> {
    let ids: HashMap<String, i64> =
        serde_json::from_slice(&read(file)?).map_err(|error| TokenizerError::Unusable {
            file: file.into(),
            reason: error.to_string(),
        })?;
    let inside = |id: &i64| usize::try_from(*id).is_ok_and(|id| id < size);
    if let Some((piece, id)) = ids.iter().find(|(_, id)| !inside(id)) {
        let problem = format!("it gives `{piece}` the id {id} of {size}");
        return Err(foreign(file, problem));
    }
    if ids.keys().any(|piece| piece.contains('\0')) {
        return Err(foreign(file, "a piece of it has a NUL".into()));
    }
    match ids.get(EOS) {
        Some(&id) if id == eos => Ok(ids),
        found => {
            let problem = format!("its {EOS} is {found:?} where the manifest says {eos}");
            Err(foreign(file, problem))
        }
    }
}

fn sentencepiece(file: &Path) -> Result<SentencePieceProcessor, TokenizerError> {
    let content = read(file)?;
    SentencePieceProcessor::from_serialized_proto(&content).map_err(|error| {
        TokenizerError::Unusable {
            file: file.into(),
            reason: error.to_string(),
        }
    })
}

#[cfg(test)]
pub(super) mod tests;
