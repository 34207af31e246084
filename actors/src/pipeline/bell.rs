//! Tells a stage that there is something new in the log it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::supervision::{
    Classified, Inbox, Mailbox, MailboxSpec, MessageClass, Overflow, mailbox,
};

/// The message of a [`Bell`]: look at the log. It says nothing else, as the log says it all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring;

impl Classified for Ring {
    fn class(&self) -> MessageClass {
        MessageClass::Audio
    }
}

/// Rings at a stage's mailbox. One ring is kept however often it is rung before it is heard.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    mailbox: Mailbox<Ring>,
    rung: Arc<AtomicBool>,
}

/// The stage's end of a [`Bell`].
#[derive(Clone, Debug)]
pub(crate) struct Ears {
    pub(crate) inbox: Inbox<Ring>,
    rung: Arc<AtomicBool>,
}

impl Bell {
    /// A bell and its ears, under the stage's name.
    pub(crate) fn new(name: &str) -> (Bell, Ears) {
        let spec = MailboxSpec::new(name).class(MessageClass::Audio, 1, Overflow::DropOldest);
        let (mailbox, inbox) = mailbox::channel(spec);
        let rung = Arc::new(AtomicBool::new(false));
        (
            Bell {
                mailbox,
                rung: rung.clone(),
            },
            Ears { inbox, rung },
        )
    }

    /// Rings; never waits. A stage that is down looks at its log when it comes up, so a ring that
    /// nobody hears is no loss.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            let _ = self.mailbox.send(Ring);
        }
    }
}

impl Ears {
    /// Has to be called before the log is looked at, so that what comes after the look rings again.
    pub(crate) fn heard(&self) {
        self.rung.store(false, Ordering::Release);
    }
}
