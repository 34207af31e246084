//! The cases of the benchmark.

use super::bench::ForwardError;
use super::options::{Case, ForwardOptions};
use super::{sound, video};

/// Run a case of the benchmark; the table goes to standard output.
///
/// # Errors
///
/// See [`ForwardError`]; each says what to do.
pub async fn run(options: &ForwardOptions) -> Result<(), ForwardError> {
    match options.case {
        Case::Audio | Case::Crowd => sound::run(options).await.map(drop),
        Case::Video => video::run(options).await.map(drop),
    }
}
