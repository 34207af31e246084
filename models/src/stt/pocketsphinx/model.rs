//! Where the recogniser's model is and how it is searched.

use std::path::{Path, PathBuf};

/// How hard the recogniser searches. The defaults are the fastest that cost no accuracy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchSettings {
    /// Weight of the language model against the acoustics (PocketSphinx's `lw`).
    pub language_weight: f64,
    /// Most hidden Markov models kept alive in a frame (`maxhmmpf`): bounds the time of a frame.
    pub max_hmms_per_frame: i32,
}

impl Default for SearchSettings {
    fn default() -> Self {
        SearchSettings {
            language_weight: 5.0,
            max_hmms_per_frame: 5000,
        }
    }
}

/// The en-us model on disk, checked to be whole.
#[derive(Debug, Clone)]
pub struct Model {
    directory: PathBuf,
    settings: SearchSettings,
}

/// Why there is no decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateDecoderError {
    /// A file of the model is not there.
    #[error("the speech recogniser's model file {} is missing: run `scripts/setup build`, or set `engines.assets` to the directory that holds `pocketsphinx/`", .path.display())]
    ModelMissing {
        /// The file.
        path: PathBuf,
    },
    /// PocketSphinx did not take the model or a setting.
    #[error(
        "PocketSphinx refuses its model or settings: the files may be damaged; remove the assets' `pocketsphinx/` and run `scripts/setup build`"
    )]
    Refused,
    /// No thread could be started to load it.
    #[error("no thread can be started to load the speech recogniser: {reason}")]
    NoThread {
        /// The system's words.
        reason: String,
    },
}

impl Model {
    /// The model under `assets` (the directory `scripts/setup` fills, `.deps`).
    ///
    /// Checks every file, because PocketSphinx ends the whole process when one is missing.
    pub fn open(assets: &Path, settings: SearchSettings) -> Result<Model, CreateDecoderError> {
        let directory = assets.join("pocketsphinx/share/pocketsphinx/model/en-us");
        let model = Model {
            directory,
            settings,
        };
        let acoustic = model.acoustic();
        let files = [
            "feat.params",
            "mdef",
            "means",
            "noisedict",
            "sendump",
            "transition_matrices",
            "variances",
        ]
        .map(|file| acoustic.join(file));
        for path in files
            .into_iter()
            .chain([model.language(), model.dictionary()])
        {
            if !std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() > 0) {
                return Err(CreateDecoderError::ModelMissing { path });
            }
        }
        Ok(model)
    }

    pub(super) fn acoustic(&self) -> PathBuf {
        self.directory.join("en-us")
    }

    pub(super) fn language(&self) -> PathBuf {
        self.directory.join("en-us.lm.bin")
    }

    pub(super) fn dictionary(&self) -> PathBuf {
        self.directory.join("cmudict-en-us.dict")
    }

    pub(super) fn settings(&self) -> SearchSettings {
        self.settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_model_names_the_file_and_the_remedy() {
        let error = Model::open(Path::new("/nonexistent"), SearchSettings::default())
            .expect_err("there is no such directory");
        let message = error.to_string();
        assert!(message.contains("/nonexistent/pocketsphinx"), "{message}");
        assert!(message.contains("scripts/setup build"), "{message}");
    }
}
