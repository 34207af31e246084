//! The sockets: the only part of the media plane that talks to the operating system.

mod batch;
mod interfaces;
mod socket;
mod tcp;
mod waker;

pub(crate) use batch::{ReceiveBatch, SendBatch};
pub(crate) use interfaces::host_addresses;
#[cfg(test)]
pub(crate) use socket::bind;
pub(crate) use socket::{BindError, bind_pair, wait};
pub(crate) use tcp::{Deframer, Ended, TcpConnections, TcpLimits};
pub(crate) use waker::Waker;
