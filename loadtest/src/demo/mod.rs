//! The demo: speech goes into a room in English over a bad link and comes out in Spanish.

mod live;
mod meeting_run;
pub(crate) mod options;
mod run;
pub mod vtt;

pub use options::DemoOptions;
pub use run::{DemoError, run};
