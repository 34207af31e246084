//! The actors beside the media workers. The workers themselves are threads that no restart touches;
//! an actor only listens to one and reads its figures.

mod events;
mod worker;

pub(crate) use events::{Notice, events_spec};
pub(crate) use worker::worker_spec;
