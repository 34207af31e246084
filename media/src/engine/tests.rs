//! Behaviour of the whole core, in virtual time.

mod connecting;
mod forwarding;
mod hostile;
mod paths;
mod reporting;
mod rooms;
