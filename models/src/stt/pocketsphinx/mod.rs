//! PocketSphinx 5.1, the recogniser that needs no download: English, five speakers a core.

mod decoder;
mod ffi;
mod model;
mod raw;

pub use decoder::Decoder;
pub use model::{CreateDecoderError, Model, SearchSettings};

use crate::Lang;

/// The languages there is a model for.
pub const LANGUAGES: &[Lang] = &[Lang::EN];
