//! The tree as it stands: a snapshot to serialise, and the nodes it is taken from.

use std::sync::{Arc, Weak};
use std::time::SystemTime;

use parking_lot::Mutex;
use serde::Serialize;

use super::exit::ExitReason;
use super::incarnation::Incarnation;
use super::mailbox::{Gauge, MailboxFigures};
use super::path::ChildPath;
use super::spec::{Restart, Strategy};

/// A supervisor or worker with everything below it, at one moment. In JSON `since_ms` is milliseconds
/// since the Unix epoch.
#[derive(Clone, Debug, Serialize)]
pub struct Tree {
    /// Its id among its siblings.
    pub id: Arc<str>,
    /// Its place.
    pub path: ChildPath,
    /// Worker or supervisor.
    pub kind: NodeKind,
    /// What it is doing.
    pub state: NodeState,
    /// When its supervisor restarts it; `None` for the root.
    pub restart: Option<Restart>,
    /// How a supervisor restarts its children.
    pub strategy: Option<Strategy>,
    /// Which incarnation is (or was last) up, from 1.
    pub incarnation: u64,
    /// Restarts so far.
    pub restarts: u64,
    /// Why it last failed.
    pub last_error: Option<String>,
    /// Since when it has been in `state`.
    #[serde(rename = "since_ms", serialize_with = "super::millis::unix")]
    pub since: SystemTime,
    /// The mailboxes that it reads.
    pub mailboxes: Vec<MailboxFigures>,
    /// Its children, in start order.
    pub children: Vec<Tree>,
}

impl Tree {
    /// The node at `path` in this tree.
    pub fn find(&self, path: &ChildPath) -> Option<&Tree> {
        if self.path == *path {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(path))
    }

    /// This node and all below it, a parent before its children.
    pub fn walk(&self) -> Vec<&Tree> {
        let mut nodes = vec![self];
        let mut next = 0;
        while let Some(node) = nodes.get(next) {
            nodes.extend(node.children.iter());
            next += 1;
        }
        nodes
    }
}

/// What a node of the tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// An actor.
    Worker,
    /// A supervisor of others.
    Supervisor,
}

/// What a node of the tree is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Its factory or `started` is running.
    Starting,
    /// Up.
    Running,
    /// Asked to stop, or killed, and not gone yet.
    Stopping,
    /// Waiting to be started again.
    Restarting,
    /// Down until somebody asks for it.
    Stopped,
}

impl NodeState {
    /// Every state.
    pub const ALL: [NodeState; 5] = [
        NodeState::Starting,
        NodeState::Running,
        NodeState::Stopping,
        NodeState::Restarting,
        NodeState::Stopped,
    ];

    /// The state's name as it stands in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeState::Starting => "starting",
            NodeState::Running => "running",
            NodeState::Stopping => "stopping",
            NodeState::Restarting => "restarting",
            NodeState::Stopped => "stopped",
        }
    }
}

#[derive(Debug)]
struct Figures {
    state: NodeState,
    restart: Option<Restart>,
    strategy: Option<Strategy>,
    incarnation: u64,
    restarts: u64,
    last_error: Option<String>,
    since: SystemTime,
}

/// A place in the tree. Lives through all incarnations of what stands there, the restarts of its
/// supervisor included.
pub(crate) struct Node {
    id: Arc<str>,
    path: ChildPath,
    kind: NodeKind,
    figures: Mutex<Figures>,
    mailboxes: Mutex<Vec<Weak<dyn Gauge>>>,
    running: Mutex<Weak<Incarnation>>,
    children: Mutex<Vec<Arc<Node>>>,
}

impl Node {
    pub(crate) fn new(id: Arc<str>, path: ChildPath, kind: NodeKind, now: SystemTime) -> Arc<Node> {
        Arc::new(Node {
            id,
            path,
            kind,
            figures: Mutex::new(Figures {
                state: NodeState::Stopped,
                restart: None,
                strategy: None,
                incarnation: 0,
                restarts: 0,
                last_error: None,
                since: now,
            }),
            mailboxes: Mutex::default(),
            running: Mutex::new(Weak::new()),
            children: Mutex::default(),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn kind(&self) -> NodeKind {
        self.kind
    }

    pub(crate) fn path(&self) -> &ChildPath {
        &self.path
    }

    pub(crate) fn set_restart(&self, restart: Restart) {
        self.figures.lock().restart = Some(restart);
    }

    pub(crate) fn set_strategy(&self, strategy: Strategy) {
        self.figures.lock().strategy = Some(strategy);
    }

    pub(crate) fn set_state(&self, state: NodeState, now: SystemTime) {
        let mut figures = self.figures.lock();
        if figures.state != state {
            figures.state = state;
            figures.since = now;
        }
    }

    /// Counts a new incarnation and says which it is.
    pub(crate) fn next_incarnation(&self) -> u64 {
        let mut figures = self.figures.lock();
        figures.incarnation += 1;
        figures.incarnation
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.figures.lock().incarnation
    }

    /// Counts a restart and says the how manieth it is.
    pub(crate) fn count_restart(&self) -> u64 {
        let mut figures = self.figures.lock();
        figures.restarts += 1;
        figures.restarts
    }

    pub(crate) fn note_end(&self, reason: &ExitReason) {
        if reason.is_abnormal() {
            self.figures.lock().last_error = Some(reason.to_string());
        }
        *self.running.lock() = Weak::new();
    }

    pub(crate) fn set_running(&self, incarnation: &Arc<Incarnation>) {
        *self.running.lock() = Arc::downgrade(incarnation);
    }

    pub(crate) fn running(&self) -> Option<Arc<Incarnation>> {
        self.running.lock().upgrade()
    }

    pub(crate) fn adopt_mailbox(&self, gauge: &Arc<dyn Gauge>) {
        let mut mailboxes = self.mailboxes.lock();
        mailboxes.retain(|known| known.strong_count() > 0);
        let new = Arc::downgrade(gauge);
        if !mailboxes.iter().any(|known| known.ptr_eq(&new)) {
            mailboxes.push(new);
        }
    }

    /// The child `id`, made if it is not there, and moved to the end of the start order.
    pub(crate) fn adopt_child(&self, id: &Arc<str>, kind: NodeKind, now: SystemTime) -> Arc<Node> {
        let mut children = self.children.lock();
        let known = children
            .iter()
            .position(|child| child.id == *id && child.kind == kind);
        let node = match known {
            Some(position) => children.remove(position),
            None => {
                children.retain(|child| child.id != *id);
                Node::new(Arc::clone(id), self.path.join(id), kind, now)
            }
        };
        children.push(Arc::clone(&node));
        node
    }

    pub(crate) fn forget_child(&self, id: &str) {
        self.children.lock().retain(|child| &*child.id != id);
    }

    pub(crate) fn retain_children(&self, keep: impl Fn(&str) -> bool) {
        self.children.lock().retain(|child| keep(&child.id));
    }

    pub(crate) fn find(self: &Arc<Node>, path: &ChildPath) -> Option<Arc<Node>> {
        let mut segments = path.segments();
        if segments.next() != self.path.segments().last() {
            return None;
        }
        let mut node = Arc::clone(self);
        for segment in segments {
            let next = node
                .children
                .lock()
                .iter()
                .find(|child| super::path::escape(&child.id) == segment)
                .cloned();
            node = next?;
        }
        Some(node)
    }

    pub(crate) fn snapshot(&self) -> Tree {
        let gauges: Vec<_> = {
            let mut mailboxes = self.mailboxes.lock();
            mailboxes.retain(|known| known.strong_count() > 0);
            mailboxes.iter().filter_map(Weak::upgrade).collect()
        };
        let children = self.children.lock().clone();
        let figures = self.figures.lock();
        Tree {
            id: Arc::clone(&self.id),
            path: self.path.clone(),
            kind: self.kind,
            state: figures.state,
            restart: figures.restart,
            strategy: figures.strategy,
            incarnation: figures.incarnation,
            restarts: figures.restarts,
            last_error: figures.last_error.clone(),
            since: figures.since,
            mailboxes: gauges.iter().map(|gauge| gauge.figures()).collect(),
            children: children.iter().map(|child| child.snapshot()).collect(),
        }
    }
}
