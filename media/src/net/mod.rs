//! The socket: the only part of the media plane that talks to the operating system.

mod batch;
mod interfaces;
mod socket;
mod waker;

pub(crate) use batch::{ReceiveBatch, SendBatch};
pub(crate) use interfaces::host_addresses;
pub(crate) use socket::{bind, wait};
pub(crate) use waker::Waker;
