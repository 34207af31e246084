//! Word times of a recording whose text is known: forced alignment by PocketSphinx.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{CLIP_RATE, Clip, Word};

/// Where PocketSphinx's program and US English model lie.
#[derive(Debug, Clone)]
pub struct Aligner {
    program: PathBuf,
    acoustic_model: PathBuf,
    dictionary: PathBuf,
}

/// Why a recording could not be aligned with its text.
#[derive(Debug, thiserror::Error)]
pub enum AlignError {
    /// PocketSphinx is not where it should be.
    #[error("{} is missing: run `scripts/setup build`, or name the right directory with --assets", .0.display())]
    Missing(PathBuf),
    /// A scratch file could not be written or the program not be started.
    #[error("cannot run the aligner: {0}")]
    Io(#[from] std::io::Error),
    /// The scratch WAV could not be written.
    #[error("cannot write the aligner's scratch file: {0}")]
    Wav(#[from] hound::Error),
    /// PocketSphinx refused; its own words follow.
    #[error(
        "PocketSphinx cannot align the recording with its text; check that the text is what is \
         said and that every word is in cmudict: {0}"
    )]
    Refused(String),
    /// PocketSphinx aligned other words than were asked for.
    #[error("PocketSphinx aligned {got} words of {asked}; check the text for symbols and digits")]
    WordCount {
        /// Words in the text.
        asked: usize,
        /// Words aligned.
        got: usize,
    },
}

#[derive(Deserialize)]
struct Aligned {
    #[serde(default)]
    w: Vec<AlignedWord>,
}

#[derive(Deserialize)]
struct AlignedWord {
    b: f64,
    d: f64,
    t: String,
}

impl Aligner {
    /// Use the PocketSphinx under an assets directory (`scripts/setup` makes `.deps`).
    ///
    /// # Errors
    ///
    /// The program or a part of its model is not there.
    pub fn new(assets: &Path) -> Result<Self, AlignError> {
        let root = assets.join("pocketsphinx");
        let model = root.join("share/pocketsphinx/model/en-us");
        let aligner = Self {
            program: root.join("bin/pocketsphinx"),
            acoustic_model: model.join("en-us"),
            dictionary: model.join("cmudict-en-us.dict"),
        };
        for path in [
            &aligner.program,
            &aligner.acoustic_model,
            &aligner.dictionary,
        ] {
            if !path.exists() {
                return Err(AlignError::Missing(path.clone()));
            }
        }
        Ok(aligner)
    }

    /// Find when each word of `text` is said in mono speech at [`CLIP_RATE`].
    ///
    /// # Errors
    ///
    /// The program fails, or aligns other words than those of the text.
    pub fn align(&self, pcm: Vec<f32>, text: &str) -> Result<Clip, AlignError> {
        let scratch = std::env::temp_dir().join(format!(
            "hive-align-{}-{:x}.wav",
            std::process::id(),
            pcm.as_ptr() as usize
        ));
        let words = self.align_scratch(&scratch, &pcm, text);
        // The file may never have come to be.
        let _ = std::fs::remove_file(&scratch);
        Ok(Clip { pcm, words: words? })
    }

    fn align_scratch(
        &self,
        scratch: &Path,
        pcm: &[f32],
        text: &str,
    ) -> Result<Vec<Word>, AlignError> {
        crate::audio::wav::write_mono(scratch, CLIP_RATE, pcm)?;
        let asked = words_of(text);
        let output = Command::new(&self.program)
            .args(["-loglevel", "ERROR", "-hmm"])
            .arg(&self.acoustic_model)
            .arg("-dict")
            .arg(&self.dictionary)
            .arg("align")
            .arg(scratch)
            .arg(asked.join(" "))
            .output()?;
        let stderr = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !output.status.success() {
            return Err(AlignError::Refused(stderr()));
        }
        let aligned: Aligned = serde_json::from_slice(&output.stdout)
            .map_err(|e| AlignError::Refused(format!("{e}; {}", stderr())))?;
        let got = aligned
            .w
            .into_iter()
            .filter(|word| !word.t.starts_with(['<', '[', '+']))
            .collect::<Vec<_>>();
        if got.len() != asked.len() {
            return Err(AlignError::WordCount {
                asked: asked.len(),
                got: got.len(),
            });
        }
        Ok(asked
            .into_iter()
            .zip(got)
            .map(|(text, word)| Word {
                text,
                start: word.b,
                end: word.b + word.d,
            })
            .collect())
    }
}

/// The words of a text as the dictionary spells them: lower case, apostrophes kept.
fn words_of(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| {
            word.trim_matches(|c: char| !c.is_alphanumeric() && c != '\'')
                .to_lowercase()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_no_part_of_a_word() {
        assert_eq!(
            words_of("Good morning, everybody -- we'll start."),
            ["good", "morning", "everybody", "we'll", "start"]
        );
    }

    #[test]
    fn missing_assets_name_the_file_and_the_cure() {
        let error = Aligner::new(Path::new("/nonexistent"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nonexistent/pocketsphinx/bin/pocketsphinx"),
            "{error}"
        );
        assert!(error.contains("scripts/setup"), "{error}");
    }
}
