//! A supervisor's record of one child.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::arbiter::Slot;
use super::super::exit::ExitReason;
use super::super::handle::{ChildError, StartChildError};
use super::super::incarnation::{Incarnation, Life};
use super::super::path::ChildPath;
use super::super::progress::Sample;
use super::super::spec::ChildSpec;
use super::super::tree::Node;
use super::Command;
use super::timers::Armed;

/// Names a child within its supervisor, in start order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChildKey(pub(crate) u64);

/// What a child is doing.
#[derive(Debug)]
pub(super) enum Phase {
    /// Down, and to be started by the group operation that is under way.
    Down,
    /// Down until its backoff is over.
    Backoff,
    /// Launched, `started` has not returned yet.
    Starting,
    /// Up.
    Up,
    /// Asked to stop, or killed by the supervisor.
    Stopping(After),
    /// Down until somebody asks for it.
    Done,
}

/// What comes after a stop.
#[derive(Debug)]
pub(super) enum After {
    /// The group operation goes on.
    Group,
    /// The child stays down.
    Rest,
    /// The child is started again, for this reason.
    Restart(String),
}

/// What runs.
pub(super) enum Link {
    Worker(Arc<Incarnation>),
    Supervisor(UnboundedSender<Command>),
}

pub(super) type StartReply = oneshot::Sender<Result<ChildPath, StartChildError>>;
pub(super) type ChildReply = oneshot::Sender<Result<(), ChildError>>;

pub(super) struct Child {
    pub(super) spec: ChildSpec,
    pub(super) node: Arc<Node>,
    /// Added after the supervisor's start: forgotten when it ends for good.
    pub(super) dynamic: bool,
    pub(super) phase: Phase,
    pub(super) link: Option<Link>,
    pub(super) slot: Option<Arc<Slot>>,
    pub(super) life: Life,
    pub(super) up_since: Option<Instant>,
    /// Failures since it last stayed up.
    pub(super) failures: u32,
    pub(super) has_failed: bool,
    /// Why the last life ended, and the wait that follows from it.
    pub(super) ended: Option<(ExitReason, std::time::Duration)>,
    /// The timer of its phase.
    pub(super) timer: Option<Armed>,
    pub(super) check: Option<Armed>,
    /// The heartbeat when there last was progress, and when that was seen.
    pub(super) progress: (Sample, Instant),
    /// When the hang watch last looked.
    pub(super) checked: Instant,
    pub(super) start_reply: Option<StartReply>,
    pub(super) stop_replies: Vec<ChildReply>,
}

impl Child {
    pub(super) fn new(spec: ChildSpec, node: Arc<Node>, dynamic: bool, now: Instant) -> Child {
        node.set_restart(spec.restart);
        Child {
            spec,
            node,
            dynamic,
            phase: Phase::Down,
            link: None,
            slot: None,
            life: Life(0),
            up_since: None,
            failures: 0,
            has_failed: false,
            ended: None,
            timer: None,
            check: None,
            progress: (Sample::default(), now),
            checked: now,
            start_reply: None,
            stop_replies: Vec::new(),
        }
    }
}

impl Child {
    /// Whether it is on its first way up, so that its supervisor is not ready yet.
    pub(super) fn is_first_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting) && !self.has_failed
    }
}
