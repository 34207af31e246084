//! A model's directory and its manifest, `model.json`.
//!
//! The manifest says what the model is and what its files are, each with its size and SHA-256, so
//! that a file that was cut short, swapped or damaged is named before anything runs it.

mod errors;
mod verify;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use errors::{ManifestError, VerifyError};

use crate::backend::{Backend, Graph, LoadGraphError};

/// The manifest's name in a model's directory.
pub const MANIFEST: &str = "model.json";

/// The version of the contract between exporter and runtime that this runtime keeps to.
pub const CONTRACT: u32 = 1;

/// The largest manifest that is read.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// The content of `model.json`. Keys that are not known are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the contract.
    pub contract: u32,
    /// The architecture: `whisper`, `marian` or `vits`.
    pub family: String,
    /// The model's name in catalogue and configuration.
    pub name: String,
    /// Where it comes from, such as `openai/whisper-tiny`.
    #[serde(default)]
    pub source: String,
    /// Its licence.
    #[serde(default)]
    pub licence: String,
    /// The exporter's version.
    #[serde(default)]
    pub exporter: String,
    /// Languages that are recognised or spoken.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Directions that are translated, source first.
    #[serde(default)]
    pub pairs: Vec<(String, String)>,
    /// Its files by name.
    pub files: BTreeMap<String, FileEntry>,
    /// What only the family understands.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// A model's directory, with its manifest read.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelDirectory {
    path: PathBuf,
    manifest: Manifest,
}

impl ModelDirectory {
    /// Reads the manifest and checks what it says; reads no other file (see
    /// [`ModelDirectory::verify`]).
    pub fn open(path: &Path) -> Result<ModelDirectory, ManifestError> {
        let file = path.join(MANIFEST);
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => ManifestError::Missing { file: file.clone() },
            _ => ManifestError::Unreadable {
                file: file.clone(),
                reason: error.to_string(),
            },
        };
        let damaged = |reason: String| ManifestError::Damaged {
            file: file.clone(),
            reason,
        };
        if fs::metadata(&file).map_err(unreadable)?.len() > MAX_MANIFEST_BYTES {
            return Err(damaged(format!(
                "it is larger than {MAX_MANIFEST_BYTES} bytes"
            )));
        }
        let text = fs::read_to_string(&file).map_err(unreadable)?;
        // The version first: another contract may not even have the same keys.
        #[derive(Deserialize)]
        struct Versioned {
            contract: u32,
        }
        let versioned: Versioned =
            serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if versioned.contract != CONTRACT {
            return Err(ManifestError::Contract {
                file,
                found: versioned.contract,
            });
        }
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if let Some(name) = manifest.files.keys().find(|name| !stays_inside(name)) {
            return Err(damaged(format!(
                "its file `{name}` lies outside the directory"
            )));
        }
        Ok(ModelDirectory {
            path: path.into(),
            manifest,
        })
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a model of another family.
    pub fn expect_family(&self, family: &'static str) -> Result<(), ManifestError> {
        if self.manifest.family == family {
            return Ok(());
        }
        Err(ManifestError::Family {
            file: self.path.join(MANIFEST),
            found: self.manifest.family.clone(),
            expected: family,
        })
    }

    /// The family's part of the manifest.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, ManifestError> {
        T::deserialize(&self.manifest.config).map_err(|error| ManifestError::Config {
            file: self.path.join(MANIFEST),
            reason: error.to_string(),
        })
    }

    /// The path of a file that the manifest lists.
    pub fn file(&self, name: &str) -> Result<PathBuf, ManifestError> {
        if !self.manifest.files.contains_key(name) {
            return Err(ManifestError::Unlisted {
                file: self.path.join(MANIFEST),
                name: name.into(),
            });
        }
        Ok(self.path.join(name))
    }

    /// Checks size and SHA-256 of every file. Blocks: it reads them all.
    pub fn verify(&self) -> Result<(), VerifyError> {
        verify::verify(&self.path, &self.manifest.files)
    }

    /// Loads one of its graphs.
    pub fn graph(&self, backend: &dyn Backend, name: &str) -> Result<Arc<dyn Graph>, GraphError> {
        Ok(backend.load(&self.file(name)?)?)
    }
}

/// Why a model's graph could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The manifest does not list it.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The backend refused it.
    #[error(transparent)]
    Load(#[from] LoadGraphError),
}

/// Whether a file's name cannot lead out of the directory.
fn stays_inside(name: &str) -> bool {
    let mut components = Path::new(name).components();
    !name.is_empty() && components.all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests;
