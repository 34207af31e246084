//! The forwarding benchmark: rooms of speakers and listeners, or of cameras and subscribers.

mod bench;
mod client;
mod distinct;
mod measure;
mod options;
mod run;
mod sound;
mod subscriber;
mod turns;
mod video;
mod voices;

pub use bench::ForwardError;
pub use options::{Case, ForwardOptions, Protocol};
pub use run::run;
pub use sound::SoundReport;
pub use video::VideoReport;
