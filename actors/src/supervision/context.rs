//! What an actor gets from its supervisor.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::event::{EventBus, EventStream};
use super::exit::ExitReason;
use super::handle::SupervisorHandle;
use super::incarnation::Incarnation;
use super::path::ChildPath;
use super::progress::{Progress, ProtectZone, Working};

/// Futures that wait to be taken over by the task that runs the actor; `None` once that is over.
pub(crate) type LinkedQueue = Rc<RefCell<Option<Vec<LocalBoxFuture<'static, ()>>>>>;

/// An incarnation's tie to the kernel. Given to the factory, kept by the actor; stays on the actor's
/// thread (what may leave it, [`Progress`] and [`Fence`], is `Send`).
#[derive(Clone)]
pub struct ChildContext {
    /// Where the child stands in the tree.
    pub path: ChildPath,
    /// Which life this is, from 1.
    pub incarnation: u64,
    record: Arc<Incarnation>,
    linked: LinkedQueue,
    parent: SupervisorHandle,
}

impl ChildContext {
    pub(crate) fn new(record: Arc<Incarnation>, parent: SupervisorHandle) -> ChildContext {
        ChildContext {
            path: record.path().clone(),
            incarnation: record.number(),
            record,
            linked: Rc::new(RefCell::new(Some(Vec::new()))),
            parent,
        }
    }

    /// The heartbeat.
    pub fn progress(&self) -> &Progress {
        self.record.progress()
    }

    /// No hang is seen until the guard is dropped.
    pub fn protect_zone(&self) -> ProtectZone {
        self.progress().protect_zone()
    }

    /// Progress must be recorded until the guard is dropped; see [`Progress::working`].
    pub fn working(&self) -> Working {
        self.progress().working()
    }

    /// Runs `future` on the actor's thread, beside the actor and bound to it: a panic in it fails the
    /// actor, and it is dropped, wherever it stands, before the actor's end is reported.
    pub fn spawn_linked(&self, future: impl Future<Output = ()> + 'static) {
        if let Some(queue) = &mut *self.linked.borrow_mut() {
            queue.push(Box::pin(future));
            self.record.ping();
        }
    }

    /// Ends this incarnation as failed, with a reason for the tree and the log. The actor is dropped
    /// as soon as the current handler returns; `stopping` and `stopped` are not called.
    pub fn fail(&self, reason: impl Into<String>) {
        self.record.doom(ExitReason::Failed(reason.into()));
    }

    /// Whether the supervisor has asked this incarnation to stop. An actor whose `stopping` returns
    /// `Running::Continue` to finish something must call `ctx.stop()` before its shutdown deadline.
    pub fn is_shutting_down(&self) -> bool {
        self.record.asked_to_stop()
    }

    /// Says, on any thread, whether this incarnation is still the one that counts.
    pub fn fence(&self) -> Fence {
        Fence(Arc::clone(&self.record))
    }

    /// The supervisor of this child, to start siblings with.
    pub fn supervisor(&self) -> &SupervisorHandle {
        &self.parent
    }

    /// Everything that happens in the tree from now on.
    pub fn events(&self) -> EventStream {
        self.parent.events()
    }

    pub(crate) fn bus(&self) -> EventBus {
        self.parent.bus().clone()
    }

    pub(crate) fn incarnation_record(&self) -> &Arc<Incarnation> {
        &self.record
    }

    pub(crate) fn linked(&self) -> LinkedQueue {
        Rc::clone(&self.linked)
    }
}

impl std::fmt::Debug for ChildContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChildContext({}#{})", self.path, self.incarnation)
    }
}

/// Tells a live incarnation from one that has been given up.
///
/// An actor whose thread was written off may wake up later and go on with its handler, beside the
/// incarnation that replaced it. Whatever it shares with that one (a journal) must check the fence
/// under the same lock as it writes.
#[derive(Clone)]
pub struct Fence(Arc<Incarnation>);

impl Fence {
    /// Whether the incarnation may still write.
    pub fn is_current(&self) -> bool {
        self.0.is_live()
    }
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fence({}#{})", self.0.path(), self.0.number())
    }
}
