//! Classes of messages, and what happens when a class is full.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// What a message is, as far as overload is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageClass {
    /// A moment of sound: worthless when late, so the oldest gives way.
    Audio,
    /// Words and what is made of them: never dropped.
    Word,
    /// Orders and questions: never dropped.
    Control,
}

impl MessageClass {
    /// Every class, in the order of the figures.
    pub const ALL: [MessageClass; 3] = [
        MessageClass::Audio,
        MessageClass::Word,
        MessageClass::Control,
    ];

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The class's name as it stands in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageClass::Audio => "audio",
            MessageClass::Word => "word",
            MessageClass::Control => "control",
        }
    }
}

/// A message that knows its class.
pub trait Classified {
    /// The class.
    fn class(&self) -> MessageClass;
}

/// What a full class does with one message more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest message of the class is dropped and counted.
    DropOldest,
    /// The sender waits for room; at the deadline the send fails and the reader is failed too,
    /// because a reader that far behind is as good as dead.
    Wait {
        /// The longest wait.
        deadline: Duration,
    },
}

/// How much of one class a mailbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSpec {
    /// Messages, over all senders together; at least 1.
    pub capacity: usize,
    /// What happens to one more.
    pub overflow: Overflow,
}

/// A mailbox's name and bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxSpec {
    /// Name in metrics, events and the tree.
    pub name: Arc<str>,
    pub(crate) classes: [ClassSpec; 3],
}

impl MailboxSpec {
    /// Room for 64 audio (drop oldest), 256 word and 64 control messages (both wait 2 s).
    pub fn new(name: impl Into<Arc<str>>) -> MailboxSpec {
        let wait = Overflow::Wait {
            deadline: Duration::from_secs(2),
        };
        MailboxSpec {
            name: name.into(),
            classes: [
                ClassSpec {
                    capacity: 64,
                    overflow: Overflow::DropOldest,
                },
                ClassSpec {
                    capacity: 256,
                    overflow: wait,
                },
                ClassSpec {
                    capacity: 64,
                    overflow: wait,
                },
            ],
        }
    }

    /// Sets the bound and policy of one class.
    pub fn class(mut self, class: MessageClass, capacity: usize, overflow: Overflow) -> Self {
        self.classes[class.index()] = ClassSpec {
            capacity: capacity.max(1),
            overflow,
        };
        self
    }
}
