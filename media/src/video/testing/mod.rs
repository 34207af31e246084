//! Both ends of a forwarder, for the tests of this module.

mod publisher;
mod subscriber;

pub(super) use publisher::{
    BitWriter, FIRST_TEMPLATE, Published, Simulcast, Stream, Vp8Frame, l2t2,
};
pub(super) use subscriber::{
    FIRST_SEQ, RTX_SSRC, Received, SSRC, Subscriber, seqs, vp8_subscriber,
};
