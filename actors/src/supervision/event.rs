//! What happens in the tree, as one broadcast stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::exit::ExitReason;
use super::mailbox::MessageClass;
use super::path::ChildPath;

/// Something that happened to one child (or supervisor). In JSON times are milliseconds (`at_ms` since
/// the Unix epoch).
#[derive(Clone, Debug, Serialize)]
pub struct SupervisionEvent {
    /// Whom it happened to.
    pub path: ChildPath,
    /// Which incarnation of it, from 1; 0 before the first.
    pub incarnation: u64,
    /// When, on the kernel's clock.
    #[serde(rename = "at_ms", serialize_with = "super::millis::unix")]
    pub at: SystemTime,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// An incarnation is up: its `started` returned (a supervisor: all its children are up).
    Started,
    /// An incarnation ended.
    Stopped {
        /// Why.
        reason: ExitReason,
    },
    /// The next incarnation is being started.
    Restarted {
        /// Why the one before ended.
        reason: ExitReason,
        /// How long the supervisor waited before.
        #[serde(rename = "delay_ms", serialize_with = "super::millis::duration")]
        delay: Duration,
        /// Restarts of this child so far, this one included.
        restarts: u64,
    },
    /// A supervisor gave up; its own supervisor takes over.
    Escalated {
        /// The failure that was one too many.
        reason: ExitReason,
    },
    /// No progress for longer than `hang_after`.
    Hung,
    /// A blocked thread was written off and its innocent actors move to another.
    ArbiterLost {
        /// The thread's number.
        arbiter: u64,
        /// How many actors it takes along.
        actors: usize,
    },
    /// A message class of a mailbox is full. Told when it becomes full and again only after it has
    /// been half empty, so that an overload is one event and not one a message.
    MailboxFull {
        /// The mailbox's name.
        mailbox: Arc<str>,
        /// The class.
        class: MessageClass,
        /// Messages dropped of this class so far.
        dropped: u64,
        /// Whether a sender's deadline passed, so that the reader is failed.
        deadline_passed: bool,
    },
    /// A child did not stop by its shutdown deadline and was killed.
    ShutDownOverran {
        /// The deadline.
        #[serde(rename = "deadline_ms", serialize_with = "super::millis::duration")]
        deadline: Duration,
    },
}

/// The clock of a tree: wall time that moves with tokio's clock, so that it can be paused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelClock {
    wall: SystemTime,
    start: Instant,
}

impl KernelClock {
    pub(crate) fn starting_now() -> KernelClock {
        KernelClock {
            wall: SystemTime::now(),
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.wall + Instant::now().saturating_duration_since(self.start)
    }
}

/// Where events enter the stream. Never blocks: a ring that the slowest subscribers lose from.
#[derive(Clone, Debug)]
pub(crate) struct EventBus {
    ring: broadcast::Sender<Arc<SupervisionEvent>>,
    lost: Arc<AtomicU64>,
    clock: KernelClock,
}

impl EventBus {
    pub(crate) fn new(capacity: usize, clock: KernelClock) -> EventBus {
        EventBus {
            ring: broadcast::Sender::new(capacity.max(1)),
            lost: Arc::default(),
            clock,
        }
    }

    pub(crate) fn emit(&self, path: &ChildPath, incarnation: u64, what: Happening) {
        // An error only says that nobody is listening.
        let _ = self.ring.send(Arc::new(SupervisionEvent {
            path: path.clone(),
            incarnation,
            at: self.clock.now(),
            what,
        }));
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        EventStream {
            ring: self.ring.subscribe(),
            lost_by_all: Arc::clone(&self.lost),
            lagged: 0,
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A subscription to everything that happens in a tree from now on.
///
/// Bounded: a subscriber that falls behind the ring loses the oldest events, is told how many
/// ([`EventStream::lagged`]) and never slows the kernel down.
#[derive(Debug)]
pub struct EventStream {
    ring: broadcast::Receiver<Arc<SupervisionEvent>>,
    lost_by_all: Arc<AtomicU64>,
    lagged: u64,
}

impl EventStream {
    /// The next event; `None` when the tree and every handle to it are gone.
    pub async fn next(&mut self) -> Option<Arc<SupervisionEvent>> {
        loop {
            match self.ring.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => self.count(missed),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next event if one is waiting.
    pub fn try_next(&mut self) -> Option<Arc<SupervisionEvent>> {
        loop {
            match self.ring.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(missed)) => self.count(missed),
                Err(_) => return None,
            }
        }
    }

    /// Events this subscriber lost because it was slow.
    pub fn lagged(&self) -> u64 {
        self.lagged
    }

    fn count(&mut self, missed: u64) {
        self.lagged += missed;
        self.lost_by_all.fetch_add(missed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lagging_subscriber_does_not_block_and_is_told_what_it_lost() {
        let bus = EventBus::new(16, KernelClock::starting_now());
        let path = ChildPath::root("root");
        let mut slow = bus.subscribe();
        for incarnation in 0..1000 {
            bus.emit(&path, incarnation, Happening::Started);
        }
        let mut seen = Vec::new();
        while let Some(event) = slow.try_next() {
            seen.push(event.incarnation);
        }
        assert_eq!(seen, (984..1000).collect::<Vec<_>>(), "the newest are kept");
        assert_eq!(slow.lagged(), 984);
        assert_eq!(bus.lost(), 984);
    }

    #[test]
    fn an_event_is_one_flat_json_object() {
        let bus = EventBus::new(4, KernelClock::starting_now());
        let mut stream = bus.subscribe();
        bus.emit(
            &ChildPath::root("root").join("stt"),
            3,
            Happening::Stopped {
                reason: ExitReason::Panicked("boom".into()),
            },
        );
        let event = stream.try_next().expect("one event was emitted");
        let json = serde_json::to_value(&*event).expect("events serialise");
        assert_eq!(json["path"], "root/stt");
        assert!(json["at_ms"].is_f64());
        assert_eq!(json["event"], "stopped");
        assert_eq!(json["reason"]["kind"], "panicked");
        assert_eq!(json["reason"]["detail"], "boom");
    }
}
