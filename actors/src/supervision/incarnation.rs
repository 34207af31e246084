//! One life of a child, as its supervisor and its thread both see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

use super::exit::ExitReason;
use super::path::ChildPath;
use super::progress::Progress;
use super::supervisor::{ChildKey, Command};
use super::tree::Node;

const STOP: u8 = 1;
const DOOM: u8 = 2;
const OVER: u8 = 4;

/// Names one life across the whole tree; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Life(pub(crate) u64);

/// The signals from the supervisor to the task that runs the actor, and its report back.
pub(crate) struct Incarnation {
    node: Arc<Node>,
    number: u64,
    life: Life,
    key: ChildKey,
    supervisor: UnboundedSender<Command>,
    signals: AtomicU8,
    doom: Mutex<Option<ExitReason>>,
    waker: AtomicWaker,
    polling: AtomicBool,
    progress: Progress,
}

impl Incarnation {
    pub(crate) fn new(
        node: Arc<Node>,
        life: Life,
        key: ChildKey,
        supervisor: UnboundedSender<Command>,
    ) -> Arc<Incarnation> {
        let number = node.next_incarnation();
        let incarnation = Arc::new(Incarnation {
            node,
            number,
            life,
            key,
            supervisor,
            signals: AtomicU8::new(0),
            doom: Mutex::default(),
            waker: AtomicWaker::new(),
            polling: AtomicBool::new(false),
            progress: Progress::default(),
        });
        incarnation.node.set_running(&incarnation);
        incarnation
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn path(&self) -> &ChildPath {
        self.node.path()
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Asks the actor to stop.
    pub(crate) fn stop(&self) {
        self.signals.fetch_or(STOP, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Ends the actor where it stands; the first reason counts.
    pub(crate) fn doom(&self, reason: ExitReason) {
        self.doom.lock().get_or_insert(reason);
        let before = self.signals.fetch_or(DOOM, Ordering::AcqRel);
        if before & (DOOM | OVER) == 0 {
            // The supervisor gives the thread up if it does not obey in time.
            let _ = self.supervisor.send(Command::Doomed {
                key: self.key,
                life: self.life,
            });
        }
        self.waker.wake();
    }

    pub(crate) fn asked_to_stop(&self) -> bool {
        self.signals.load(Ordering::Acquire) & STOP != 0
    }

    pub(crate) fn doomed(&self) -> Option<ExitReason> {
        if self.signals.load(Ordering::Acquire) & DOOM == 0 {
            return None;
        }
        self.doom.lock().clone()
    }

    /// Whether this life still is the one that counts: not ended and not about to be.
    pub(crate) fn is_live(&self) -> bool {
        self.signals.load(Ordering::Acquire) & (DOOM | OVER) == 0
    }

    pub(crate) fn is_over(&self) -> bool {
        self.signals.load(Ordering::Acquire) & OVER != 0
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// Has the actor's task polled, which answers from inside the actor's context if it can.
    pub(crate) fn ping(&self) {
        self.waker.wake();
    }

    pub(crate) fn set_polling(&self, polling: bool) {
        self.polling.store(polling, Ordering::Release);
    }

    pub(crate) fn is_polling(&self) -> bool {
        self.polling.load(Ordering::Acquire)
    }

    pub(crate) fn report_started(&self) {
        // The supervisor being gone means that this life is doomed already.
        let _ = self.supervisor.send(Command::Started {
            key: self.key,
            life: self.life,
        });
    }

    /// Reports the end, once a life, whoever finds it first: the task that ran the actor, or the
    /// kernel when it writes the task's thread off.
    pub(crate) fn report_end(&self, reason: ExitReason) {
        let before = self.signals.fetch_or(OVER | DOOM, Ordering::AcqRel);
        if before & OVER == 0 {
            let _ = self.supervisor.send(Command::Ended {
                key: self.key,
                life: self.life,
                reason,
            });
        }
        self.waker.wake();
    }
}
