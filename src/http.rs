//! The front door's HTTP: signalling, events, tokens, health, metrics, supervision.

pub(crate) mod app;
pub(crate) mod backend;
pub(crate) mod bearer;
pub(crate) mod client;
pub(crate) mod connection;
mod cors;
mod events;
mod feed;
mod guard;
mod health;
pub(crate) mod problem;
mod problems;
mod rate;
mod server;
pub(crate) mod signalling;
mod stats;
mod supervision;
#[cfg(test)]
pub(crate) mod test_double;
#[cfg(test)]
pub(crate) mod tests;
mod token;

pub use backend::{Backend, EventFeed};
pub(crate) use client::network as client_network;
pub use problem::{Problem, ProblemKind};
pub use rate::{Allowance, RateLimiter};
pub use server::{HttpServerHandle, StartHttpError, bind, start};
pub use stats::Figures;
