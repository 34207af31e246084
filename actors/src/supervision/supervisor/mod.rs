//! A supervisor: a task that reacts to its children's reports, to requests and to its timers, one at a
//! time and never waiting for any of them, so that no child's trouble holds up another's restart.

mod child;
mod group;
mod lifecycle;
mod requests;
mod timers;
mod watch;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::census::Counted;
use super::event::Happening;
use super::exit::{ExitReason, panic_message};
use super::handle::SupervisorHandle;
use super::incarnation::Life;
use super::intensity::{Intensity, RestartWindow};
use super::kernel::{Kernel, RootState};
use super::spec::{ChildSpec, Strategy, SupervisorSpec};
use super::tree::{Node, NodeKind, NodeState};
pub(crate) use child::ChildKey;
use child::{Child, ChildReply, Link, StartReply};
use group::GroupOp;
use timers::{Timer, Timers};

/// What a supervisor is told.
pub(crate) enum Command {
    /// A child's `started` returned.
    Started { key: ChildKey, life: Life },
    /// A child was killed and should be gone soon.
    Doomed { key: ChildKey, life: Life },
    /// A child is gone.
    Ended {
        key: ChildKey,
        life: Life,
        reason: ExitReason,
    },
    /// See [`SupervisorHandle::start_child`].
    StartChild {
        spec: Box<ChildSpec>,
        reply: StartReply,
    },
    /// See [`SupervisorHandle::terminate_child`].
    TerminateChild { id: Arc<str>, reply: ChildReply },
    /// See [`SupervisorHandle::restart_child`].
    RestartChild {
        id: Arc<str>,
        reason: String,
        reply: ChildReply,
    },
    /// Stop all children in good order, then end.
    Shutdown,
    /// Kill all children, then end.
    Kill,
}

/// Whom a supervisor reports to.
pub(crate) enum Report {
    /// Its own supervisor.
    Parent {
        supervisor: UnboundedSender<Command>,
        key: ChildKey,
        life: Life,
    },
    /// Whoever started the tree.
    Root,
}

pub(crate) struct Supervisor {
    kernel: Arc<Kernel>,
    node: Arc<Node>,
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
    rng: StdRng,
    own: UnboundedSender<Command>,
    commands: UnboundedReceiver<Command>,
    children: BTreeMap<ChildKey, Child>,
    keys: HashMap<Arc<str>, ChildKey>,
    next_key: u64,
    timers: Timers,
    restarts: RestartWindow,
    operation: Option<GroupOp>,
    deferred: VecDeque<Command>,
    report: Report,
    told_ready: bool,
    outcome: Option<ExitReason>,
    _counted: Counted,
}

impl Supervisor {
    /// Runs a supervisor on the current thread; the channel to it.
    pub(crate) fn spawn(
        kernel: Arc<Kernel>,
        node: Arc<Node>,
        spec: SupervisorSpec,
        report: Report,
    ) -> UnboundedSender<Command> {
        #[allow(
            clippy::disallowed_methods,
            reason = "a child's end must always get through; at most three reports a life bound it"
        )]
        let (own, commands) = tokio::sync::mpsc::unbounded_channel();
        let counted = kernel.census.supervisor();
        kernel.register(node.path(), own.clone());
        node.set_strategy(spec.strategy);
        let seed = kernel.seed_for(node.path(), spec.seed);
        let mut supervisor = Supervisor {
            strategy: spec.strategy,
            intensity: spec.intensity,
            backoff: spec.backoff,
            rng: StdRng::seed_from_u64(seed),
            own: own.clone(),
            commands,
            children: BTreeMap::new(),
            keys: HashMap::new(),
            next_key: 0,
            timers: Timers::default(),
            restarts: RestartWindow::default(),
            operation: None,
            deferred: VecDeque::new(),
            report,
            told_ready: false,
            outcome: None,
            kernel,
            node,
            _counted: counted,
        };
        supervisor
            .node
            .retain_children(|id| spec.children.iter().any(|child| &*child.id == id));
        for child in spec.children {
            supervisor.adopt(child, false);
        }
        tokio::task::spawn_local(async move {
            // The outcome is reported when the supervisor is dropped, which a panic of the kernel's
            // own must not prevent.
            let run = AssertUnwindSafe(supervisor.run());
            if let Err(payload) = run.catch_unwind().await {
                tracing::error!(
                    panic = panic_message(payload),
                    "a supervisor panicked, which is a defect of the kernel; its own supervisor takes over"
                );
            }
        });
        own
    }

    async fn run(mut self) {
        self.begin();
        loop {
            self.on_timers();
            self.settle();
            if self.outcome.is_some() {
                return;
            }
            let due = self.timers.next();
            let timer = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                () = timer => {}
            }
        }
    }

    fn begin(&mut self) {
        match self.strategy {
            Strategy::OneForOne => {
                for key in self.children.keys().copied().collect::<Vec<_>>() {
                    self.start(key);
                }
            }
            // Each waits for the one before it.
            Strategy::OneForAll | Strategy::RestForOne => {
                self.operation = self.first_key().map(GroupOp::first_start);
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Started { key, life } => self.on_started(key, life),
            Command::Doomed { key, life } => self.on_doomed(key, life),
            Command::Ended { key, life, reason } => self.on_ended(key, life, reason),
            Command::Shutdown => self.exit(ExitReason::Shutdown, false),
            Command::Kill => self.exit(ExitReason::Killed, true),
            request => self.on_request(request),
        }
    }

    fn on_timers(&mut self) {
        let now = Instant::now();
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Restart(key) => self.on_backoff_over(key),
                Timer::StopDeadline(key) => self.on_stop_deadline(key),
                Timer::KillDeadline(key) => self.on_kill_deadline(key),
                Timer::Check(key) => self.check(key),
                Timer::Group => self.on_group_backoff_over(),
            }
        }
    }

    /// Everything that follows from what just happened.
    fn settle(&mut self) {
        self.drive();
        while self.operation.is_none() {
            let Some(command) = self.deferred.pop_front() else {
                break;
            };
            self.on_request(command);
            self.drive();
        }
        self.tell_ready();
    }

    fn tell_ready(&mut self) {
        if self.told_ready || self.operation.is_some() || self.outcome.is_some() {
            return;
        }
        if self.children.values().any(Child::is_first_starting) {
            return;
        }
        self.told_ready = true;
        match &self.report {
            Report::Parent {
                supervisor,
                key,
                life,
            } => {
                // The parent being gone means that this supervisor is about to be.
                let _ = supervisor.send(Command::Started {
                    key: *key,
                    life: *life,
                });
            }
            Report::Root => {
                self.node
                    .set_state(NodeState::Running, self.kernel.bus.now());
                self.kernel
                    .bus
                    .emit(self.node.path(), 1, Happening::Started);
                self.kernel.state.send_replace(RootState::Running);
            }
        }
    }

    fn adopt(&mut self, spec: ChildSpec, dynamic: bool) -> ChildKey {
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        let kind = match spec.role {
            super::spec::Role::Worker(_) => NodeKind::Worker,
            super::spec::Role::Supervisor(_) => NodeKind::Supervisor,
        };
        let node = self.node.adopt_child(&spec.id, kind, self.kernel.bus.now());
        self.keys.insert(Arc::clone(&spec.id), key);
        self.children
            .insert(key, Child::new(spec, node, dynamic, Instant::now()));
        key
    }

    fn forget(&mut self, key: ChildKey) {
        if let Some(child) = self.children.remove(&key) {
            self.timers.cancel(child.timer);
            self.timers.cancel(child.check);
            self.keys.remove(&child.spec.id);
            self.node.forget_child(&child.spec.id);
            for reply in child.stop_replies {
                let _ = reply.send(Ok(()));
            }
        }
    }

    fn first_key(&self) -> Option<ChildKey> {
        self.children.keys().next().copied()
    }

    fn handle(&self) -> SupervisorHandle {
        SupervisorHandle::new(Arc::clone(&self.kernel), self.node.path().clone())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.kernel.unregister(self.node.path(), &self.own);
        // Empty unless the supervisor panicked or its thread ended.
        for child in self.children.values() {
            match &child.link {
                Some(Link::Worker(incarnation)) => incarnation.doom(ExitReason::Killed),
                Some(Link::Supervisor(commands)) => {
                    let _ = commands.send(Command::Kill);
                }
                None => {}
            }
        }
        let reason = self.outcome.take().unwrap_or_else(|| {
            ExitReason::Panicked("a defect of the supervision kernel".to_owned())
        });
        match &self.report {
            Report::Parent {
                supervisor,
                key,
                life,
            } => {
                let _ = supervisor.send(Command::Ended {
                    key: *key,
                    life: *life,
                    reason,
                });
            }
            Report::Root => {
                self.kernel.arbiters.close();
                let number = self.node.incarnation();
                self.node.note_end(&reason);
                self.node
                    .set_state(NodeState::Stopped, self.kernel.bus.now());
                self.kernel.bus.emit(
                    self.node.path(),
                    number,
                    Happening::Stopped {
                        reason: reason.clone(),
                    },
                );
                self.kernel.state.send_replace(RootState::Over(reason));
            }
        }
    }
}
