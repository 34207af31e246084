//! What goes wrong with a model's directory.

use std::path::PathBuf;

use super::CONTRACT;

/// Why a model's directory cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// There is no manifest.
    #[error("there is no {}: pull or import the model with `hive models`", .file.display())]
    Missing {
        /// The manifest.
        file: PathBuf,
    },
    /// The manifest cannot be read.
    #[error("the manifest {} cannot be read: {reason}", .file.display())]
    Unreadable {
        /// The manifest.
        file: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The manifest is no manifest.
    #[error("the manifest {} is damaged ({reason}): pull or import the model again", .file.display())]
    Damaged {
        /// The manifest.
        file: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// The model was exported under another version of the contract.
    #[error("the model of {} was exported under version {found} of the contract, this HIVE runs version {CONTRACT}: import the model again with `hive models import`", .file.display())]
    Contract {
        /// The manifest.
        file: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The model is of another architecture.
    #[error("the model of {} is of the family `{found}`, not `{expected}`: check which engine it is configured for", .file.display())]
    Family {
        /// The manifest.
        file: PathBuf,
        /// Its family.
        found: String,
        /// The family asked for.
        expected: &'static str,
    },
    /// The family's part of the manifest is not as the family needs it.
    #[error("`config` of {} does not describe the model ({reason}): import the model again with `hive models import`", .file.display())]
    Config {
        /// The manifest.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file that the family needs is not listed.
    #[error("{} lists no `{name}`: import the model again with `hive models import`", .file.display())]
    Unlisted {
        /// The manifest.
        file: PathBuf,
        /// The file.
        name: String,
    },
}

/// Why a model's files are not what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A listed file is not there.
    #[error("the model's file {} is missing: pull or import the model again", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A file cannot be read.
    #[error("the model's file {} cannot be read: {reason}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A file is longer or shorter than the manifest says.
    #[error("the model's file {} has {found} bytes where its manifest says {expected}: it was cut short or replaced; pull or import the model again", .file.display())]
    Size {
        /// The file.
        file: PathBuf,
        /// Its size.
        found: u64,
        /// The manifest's.
        expected: u64,
    },
    /// A file's content is not what the manifest says.
    #[error("the model's file {} has the SHA-256 {found} where its manifest says {expected}: it is damaged or was replaced; pull or import the model again", .file.display())]
    Hash {
        /// The file.
        file: PathBuf,
        /// Its hash.
        found: String,
        /// The manifest's.
        expected: String,
    },
}
