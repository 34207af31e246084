//! The front door's HTTP: signalling, events, tokens, health, metrics, supervision.

mod app;
mod backend;
mod bearer;
mod client;
mod connection;
mod cors;
mod events;
mod feed;
mod guard;
mod health;
mod problem;
mod problems;
mod rate;
mod server;
mod signalling;
mod supervision;
#[cfg(test)]
mod test_double;
#[cfg(test)]
mod tests;
mod token;

pub use backend::{Backend, EventFeed};
pub(crate) use client::network as client_network;
pub use problem::{Problem, ProblemKind};
pub use rate::{Allowance, RateLimiter};
pub use server::{HttpServerHandle, StartHttpError, bind, start};
