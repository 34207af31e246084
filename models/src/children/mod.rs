//! Engines that run as child processes: started together, spoken to with a deadline, never left behind.

mod duplex;
mod pipeline;
mod queue;

pub(crate) use duplex::{Wait, wait_readable};
pub(crate) use pipeline::{Pipeline, find_program};
pub(crate) use queue::JobQueue;
