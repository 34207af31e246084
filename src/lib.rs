//! HIVE's front door: configuration, tokens, HTTP signalling, events, TURN, telemetry and the command line.
//!
//! The rooms behind it are [`hive_actors::Service`]; nothing here knows how a word is recognised or a packet
//! forwarded. The library is for the `hive` program and its tests.

pub mod auth;
pub mod cli;
pub mod config;
pub mod http;
pub mod livekit;
pub mod telemetry;
pub mod turn;
