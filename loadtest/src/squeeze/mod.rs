//! A subscriber of simulcast video whose link is cut and comes back.

mod options;
pub(crate) mod publisher;
mod run;
mod score;
mod subscriber;
mod table;

pub use options::SqueezeOptions;
pub use run::{SqueezeError, SqueezeReport, run, squeeze};
pub use score::{Audio, Figures, LayerChange, Phase};
