//! Whisper's tokenizer, and words made of its tokens.

use std::fmt;
use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

/// Languages written without spaces between words; words are split where a character ends.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];

/// Python's `string.punctuation`.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Why there is no tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenizerError {
    /// The file is not there.
    #[error("the tokenizer {} is missing: pull or import its model again", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// The file is no tokenizer.
    #[error("{} is no tokenizer ({reason}): pull or import its model again", .file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// The library's words.
        reason: String,
    },
    /// The tokenizer is another model's.
    #[error("the tokenizer {} does not belong to its model: {problem}", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

/// Text to tokens and back.
pub struct WhisperTokenizer {
    tokenizer: Tokenizer,
    eot: i64,
}

impl fmt::Debug for WhisperTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WhisperTokenizer(eot {})", self.eot)
    }
}

/// A word and the tokens it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WordTokens {
    /// With its spaces, as decoded.
    pub(super) text: String,
    pub(super) tokens: Vec<i64>,
}

impl WhisperTokenizer {
    /// Reads a `tokenizer.json`, whose `<|endoftext|>` has to be `eot`.
    pub fn load(file: &Path, eot: i64) -> Result<WhisperTokenizer, TokenizerError> {
        if !file.is_file() {
            return Err(TokenizerError::Missing { file: file.into() });
        }
        let tokenizer = Tokenizer::from_file(file).map_err(|error| TokenizerError::Unusable {
            file: file.into(),
            reason: error.to_string(),
        })?;
        match tokenizer.token_to_id("<|endoftext|>") {
            Some(id) if i64::from(id) == eot => Ok(WhisperTokenizer { tokenizer, eot }),
            found => Err(TokenizerError::Foreign {
                file: file.into(),
                problem: match found {
                    Some(id) => format!("its <|endoftext|> is {id} where the manifest says {eot}"),
                    None => "it has no <|endoftext|>".into(),
                },
            }),
        }
    }

    /// Tokens of plain text. What looks like a special token in it is text like any other.
    pub fn encode(&self, text: &str) -> Vec<i64> {
        // Split before each `<|`, so that no special token is whole.
        let mut ids = Vec::new();
        for piece in split_special(text) {
            if let Ok(encoding) = self.tokenizer.encode_fast(piece, false) {
                ids.extend(encoding.get_ids().iter().map(|&id| i64::from(id)));
            }
        }
        ids.retain(|&id| id < self.eot);
        ids
    }

    /// The text of tokens; special ones and timestamps are left out.
    pub fn decode(&self, tokens: &[i64]) -> String {
        let ids: Vec<u32> = tokens
            .iter()
            .filter(|&&token| token < self.eot)
            .filter_map(|&token| u32::try_from(token).ok())
            .collect();
        // Unknown ids are left out by the library; there is no other error without special tokens.
        self.tokenizer.decode(&ids, false).unwrap_or_default()
    }

    /// openai's `split_to_word_tokens`: words with the space before them, of text tokens.
    pub(super) fn words(&self, tokens: &[i64], language: Option<&str>) -> Vec<WordTokens> {
        let characters = self.split_on_characters(tokens);
        if language.is_some_and(|language| WITHOUT_SPACES.contains(&language)) {
            return characters;
        }
        let mut words: Vec<WordTokens> = Vec::new();
        for part in characters {
            let text = part.text.trim();
            // Python's `in` on strings: also the empty one, and runs in the same order.
            let starts = part.text.starts_with(' ') || PUNCTUATION.contains(text);
            match words.last_mut() {
                Some(word) if !starts => {
                    word.text += &part.text;
                    word.tokens.extend(part.tokens);
                }
                _ => words.push(part),
            }
        }
        words
    }

    /// openai's `split_tokens_on_unicode`: as few tokens as decode to whole characters.
    fn split_on_characters(&self, tokens: &[i64]) -> Vec<WordTokens> {
        let whole: Vec<char> = self.decode(tokens).chars().collect();
        let mut parts = Vec::new();
        let mut current = Vec::new();
        let mut offset = 0;
        for &token in tokens {
            current.push(token);
            let text = self.decode(&current);
            let broken = text.chars().position(|c| c == char::REPLACEMENT_CHARACTER);
            // A replacement character that the whole text has too is what was meant.
            let meant = |at| whole.get(offset + at) == Some(&char::REPLACEMENT_CHARACTER);
            if broken.is_none_or(meant) {
                offset += text.chars().count();
                parts.push(WordTokens {
                    text,
                    tokens: std::mem::take(&mut current),
                });
            }
        }
        if !current.is_empty() {
            parts.push(WordTokens {
                text: self.decode(&current),
                tokens: current,
            });
        }
        parts
    }
}

/// Cuts text inside everything that could be a special token.
fn split_special(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive("<|")
        .flat_map(|piece| match piece.strip_suffix('|') {
            Some(before) if before.ends_with('<') => [before, "|"],
            _ => [piece, ""],
        })
        .filter(|piece| !piece.is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A byte-level tokenizer like Whisper's: a token for each byte, then ` t`, ` th` and ` the`, then
    /// the special tokens.
    pub(in super::super) fn tokenizer_json() -> String {
        let mut vocab: Vec<String> = Vec::new();
        for byte in 0..=255_u32 {
            // GPT-2's way to write bytes as printable characters.
            let printable = matches!(byte, 33..=126 | 161..=172 | 174..=255);
            let shifted = (0..byte)
                .filter(|b| !matches!(b, 33..=126 | 161..=172 | 174..=255))
                .count();
            let c = char::from_u32(if printable {
                byte
            } else {
                256 + shifted as u32
            })
            .unwrap();
            vocab.push(c.to_string());
        }
        vocab.extend(["Ġt", "Ġth", "Ġthe"].map(String::from));
        let vocab: serde_json::Map<String, serde_json::Value> = vocab
            .into_iter()
            .zip(0..)
            .map(|(token, id)| (token, id.into()))
            .collect();
        let special = |id: u32, content: &str| {
            serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true})
        };
        serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
            "added_tokens": [special(259, "<|endoftext|>"), special(260, "<|startoftranscript|>")],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "vocab": vocab, "merges": ["Ġ t", "Ġt h", "Ġth e"]},
        })
        .to_string()
    }

    pub(in super::super) fn tokenizer(name: &str) -> WhisperTokenizer {
        let file = std::env::temp_dir().join(format!("hive-{name}-{}.json", std::process::id()));
        std::fs::write(&file, tokenizer_json()).unwrap();
        let tokenizer = WhisperTokenizer::load(&file, 259);
        std::fs::remove_file(&file).unwrap();
        tokenizer.unwrap()
    }

    #[test]
    fn text_survives_both_ways() {
        let tokenizer = tokenizer("both-ways");
        for text in [
            " the cat",
            "naïve 日本",
            "a\u{0}\u{7}b",
            "<|endoftext|> <|",
            "<||<|endoftext|>",
        ] {
            let ids = tokenizer.encode(text);
            assert!(ids.iter().all(|&id| id < 259), "{text}");
            assert_eq!(tokenizer.decode(&ids), text);
        }
        assert_eq!(tokenizer.encode(" the"), [258]);
        assert_eq!(tokenizer.decode(&[258, 259, 1000]), " the");
    }

    #[test]
    fn long_text_is_encoded() {
        let tokenizer = tokenizer("long");
        assert_eq!(tokenizer.encode(&" the".repeat(2_500)).len(), 2_500);
        let without_spaces = "x".repeat(10_000);
        assert_eq!(tokenizer.encode(&without_spaces).len(), 10_000);
    }

    #[test]
    fn words_start_at_spaces_and_punctuation() {
        let tokenizer = tokenizer("words");
        let words = |text: &str, language| -> Vec<String> {
            let words = tokenizer.words(&tokenizer.encode(text), language);
            words.into_iter().map(|word| word.text).collect()
        };
        assert_eq!(
            words(" the cat, naïve", Some("en")),
            [" the", " cat", ",", " naïve"]
        );
        assert_eq!(words("日本", Some("ja")), ["日", "本"]);
        assert_eq!(words("日本", Some("en")), ["日本"]);
        assert!(words("", None).is_empty());
    }

    #[test]
    fn says_what_is_wrong_with_a_tokenizer() {
        let load = |file: &Path| WhisperTokenizer::load(file, 259).unwrap_err();
        assert!(matches!(
            load("/nonexistent/tokenizer.json".as_ref()),
            TokenizerError::Missing { .. }
        ));
        let file =
            std::env::temp_dir().join(format!("hive-no-tokenizer-{}.json", std::process::id()));
        std::fs::write(&file, "{\"model\": 1}").unwrap();
        assert!(matches!(load(&file), TokenizerError::Unusable { .. }));
        std::fs::write(&file, tokenizer_json().replace("endoftext", "end")).unwrap();
        assert!(matches!(load(&file), TokenizerError::Foreign { .. }));
        std::fs::remove_file(&file).unwrap();
    }
}
