//! The forwarding benchmark: many rooms with one speaker and many listeners each.

mod client;
mod measure;
mod options;
mod run;

pub use options::ForwardOptions;
pub use run::{ForwardError, run};
