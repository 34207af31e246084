//! Behaviour of the whole core, in virtual time.

mod connecting;
mod forwarding;
mod hostile;
mod reporting;
mod rooms;
