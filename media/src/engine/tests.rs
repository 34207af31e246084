//! Behaviour of the whole core, in virtual time.

mod connecting;
mod continuity;
mod forwarding;
mod hostile;
mod joining;
mod reporting;
mod rooms;
