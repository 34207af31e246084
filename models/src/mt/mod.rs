//! Machine translation: a clause in one language in, the clause in another out.

pub mod apertium;
pub mod interjections;
pub mod marian;
pub mod stable_prefix;
pub mod truecase;

use crate::{EngineFuture, LangPair};

/// Why a clause was not translated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// There is no engine for the direction.
    #[error("there is no translation from {asked}; available: {}", list(.available))]
    UnsupportedPair {
        /// The pair asked for.
        asked: LangPair,
        /// The pairs there are.
        available: Vec<LangPair>,
    },
    /// The clause ended or hung the engine on every attempt: it is the clause's fault.
    #[error("the translator failed {attempts} times on this clause; it is given up: {reason}")]
    Poison {
        /// Fresh engines tried.
        attempts: u32,
        /// What happened the last time.
        reason: String,
    },
    /// The engine cannot be started.
    #[error("the translator does not start: {reason}")]
    Unavailable {
        /// What to do about it.
        reason: String,
    },
    /// The pool has been shut down.
    #[error("the translator has been shut down")]
    ShutDown,
}

fn list(pairs: &[LangPair]) -> String {
    if pairs.is_empty() {
        return "none".into();
    }
    pairs
        .iter()
        .map(LangPair::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Translates clauses.
pub trait Translate: Send + Sync {
    /// The directions this engine translates.
    fn pairs(&self) -> Vec<LangPair>;

    /// Translates one clause of plain text, truecased as the source language is written. Dropping the
    /// future forgets the clause.
    fn translate(
        &self,
        pair: LangPair,
        clause: &str,
    ) -> EngineFuture<'_, Result<String, TranslateError>>;
}
