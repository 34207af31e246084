//! How a transport is configured, what it tells, and what it refuses.

use bytes::Bytes;

use super::association::AssociationEnd;
use super::dcep::{ChannelParameters, MAX_LABEL};

/// Channels that a peer connection can have; more are not answered.
pub(crate) const MAX_CHANNELS: usize = 32;

/// The longest message that is taken unless configured otherwise, in bytes.
pub(crate) const MAX_MESSAGE: usize = 256 << 10;

/// Which side of DTLS this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataRole {
    /// The DTLS client: it initiates the association, its channels have even ids.
    Initiate,
    /// The DTLS server: it waits for an INIT, its channels have odd ids.
    Accept,
}

/// How a transport is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataConfig {
    /// Which side of DTLS it is on.
    pub(crate) role: DataRole,
    /// The longest message taken, in bytes; our `a=max-message-size` is less. A longer one ends the association.
    pub(crate) max_message: usize,
    /// The peer's `a=max-message-size`, where 0 means any size.
    pub(crate) remote_max_message: usize,
}

/// A channel of one transport: its stream. Ids are used again once a channel is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChannelId(pub(crate) u16);

/// What happens on a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DataEvent {
    /// Messages can be sent; either side opened the channel.
    Opened {
        /// The channel.
        id: ChannelId,
        /// What it is like.
        parameters: ChannelParameters,
    },
    /// A message came.
    Message {
        /// The channel.
        id: ChannelId,
        /// Whether it is bytes; otherwise it should be UTF-8, which is not checked.
        binary: bool,
        /// The message, which may be empty.
        payload: Bytes,
    },
    /// The channel is gone.
    Closed {
        /// The channel.
        id: ChannelId,
    },
    /// The association is over, and there will be no other.
    Ended {
        /// Why.
        reason: AssociationEnd,
    },
}

/// A channel cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenChannelError {
    /// The association is over.
    #[error("the association is over")]
    Ended,
    /// There are [`MAX_CHANNELS`].
    #[error("a peer connection has at most {MAX_CHANNELS} channels")]
    TooMany,
    /// The label is longer than [`MAX_LABEL`].
    #[error("a label has at most {MAX_LABEL} bytes")]
    LabelTooLong,
}

/// A message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendDataError {
    /// There is no such channel, or it is closed.
    #[error("there is no such channel")]
    UnknownChannel,
    /// The peer has not answered yet; wait for [`DataEvent::Opened`].
    #[error("the channel is not open yet")]
    NotOpen,
    /// The peer does not take a message of this length.
    #[error("the message is longer than the {limit} bytes that the peer takes")]
    TooLong {
        /// What the peer takes, in bytes.
        limit: usize,
    },
    /// Too much waits for the peer. On a channel that may lose messages, this one is lost.
    #[error("too much is unsent")]
    TooMuchUnsent,
}

/// What went wrong on a transport, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataCounters {
    /// Packets that are no SCTP.
    pub(crate) malformed: u64,
    /// Channels of the peer's that were not answered: too many, with a label too long, or malformed.
    pub(crate) refused_channels: u64,
    /// Messages on no channel or of no known kind.
    pub(crate) discarded: u64,
    /// Messages not sent because too much was unsent.
    pub(crate) dropped: u64,
}
