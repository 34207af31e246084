//! Mailboxes: the only way to send to an actor.
//!
//! A mailbox belongs to the place in the tree, not to an incarnation: it is made once, outside the
//! child's factory, and what is in it when its reader dies is read by the next one. Its bound is one
//! bound, however many clones of [`Mailbox`] there are (an `actix::Addr` has one a clone).

mod class;
mod inbox;
mod queue;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

pub use class::{ClassSpec, Classified, MailboxSpec, MessageClass, Overflow};
pub use inbox::{Inbox, InboxStream};
use queue::Shared;

/// Makes a mailbox: the end to send to and the end an actor attaches to.
pub fn channel<M: Classified + Send + 'static>(spec: MailboxSpec) -> (Mailbox<M>, Inbox<M>) {
    let shared = Arc::new(Shared::new(spec));
    (Mailbox::new(Arc::clone(&shared)), Inbox::new(shared))
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The class is full and its policy is to wait; [`Mailbox::deliver`] waits.
    #[error("the mailbox has no room for this class of message; use deliver() to wait for room")]
    Full,
    /// The class stayed full for the whole deadline; its reader has been failed.
    #[error("the mailbox had no room within its deadline; its reader is being restarted")]
    Deadline,
    /// Nothing will ever read the mailbox again.
    #[error("the mailbox is closed: the actor behind it has been removed for good")]
    Closed,
}

/// The sending end. Clones share one bound.
pub struct Mailbox<M> {
    shared: Arc<Shared<M>>,
}

impl<M: Classified + Send + 'static> Mailbox<M> {
    fn new(shared: Arc<Shared<M>>) -> Self {
        shared.senders.fetch_add(1, Ordering::Relaxed);
        Mailbox { shared }
    }

    /// Puts a message in without waiting; works on any thread. A full `DropOldest` class makes room
    /// by dropping its oldest message.
    ///
    /// # Errors
    /// `Full` when the class is full and its policy is `Wait`, `Closed` when there is no reader left.
    /// The message is dropped; [`Mailbox::offer`] gives it back.
    pub fn send(&self, message: M) -> Result<(), SendError> {
        self.offer(message).map_err(|(_, error)| error)
    }

    /// Like [`Mailbox::send`], and gives the message back when it is not taken.
    ///
    /// # Errors
    /// As [`Mailbox::send`], with the message.
    pub fn offer(&self, message: M) -> Result<(), (M, SendError)> {
        self.shared.offer(message)
    }

    /// Puts a message in, waiting for room as long as its class's policy allows. Waiting senders are
    /// served in turn. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// `Deadline` when there was no room in time: the attached reader is failed and its supervisor
    /// deals with it. `Closed` when there is no reader left.
    pub async fn deliver(&self, message: M) -> Result<(), SendError> {
        self.shared.deliver(message).await
    }

    /// Messages waiting, all classes together.
    pub fn depth(&self) -> usize {
        self.shared.depth()
    }

    /// Whether nothing will ever read this mailbox again.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Clones of this sending end that are alive.
    pub fn senders(&self) -> usize {
        self.shared.senders.load(Ordering::Relaxed)
    }

    /// Depth, bounds and drops at this moment.
    pub fn figures(&self) -> MailboxFigures {
        self.shared.figures()
    }
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Mailbox {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<M> Drop for Mailbox<M> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.wake_reader();
        }
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.shared.spec.name)
    }
}

/// A mailbox at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MailboxFigures {
    /// Its name.
    pub name: Arc<str>,
    /// Messages waiting.
    pub depth: usize,
    /// Messages it can hold.
    pub capacity: usize,
    /// Messages dropped since it was made.
    pub dropped: u64,
    /// The same, per class.
    pub classes: Vec<ClassFigures>,
}

/// One class of a mailbox at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassFigures {
    /// The class.
    pub class: MessageClass,
    /// Messages waiting.
    pub depth: usize,
    /// Messages it can hold.
    pub capacity: usize,
    /// Messages put in since it was made.
    pub accepted: u64,
    /// Messages dropped by `DropOldest`.
    pub dropped: u64,
    /// Sends refused because the class was full.
    pub refused: u64,
    /// Senders whose deadline passed.
    pub expired: u64,
}

/// What the tree asks of any mailbox.
pub(crate) trait Gauge: Send + Sync {
    fn figures(&self) -> MailboxFigures;
}

/// How long a `Wait` class waits.
pub(crate) fn deadline(overflow: Overflow) -> Option<Duration> {
    match overflow {
        Overflow::DropOldest => None,
        Overflow::Wait { deadline } => Some(deadline),
    }
}
