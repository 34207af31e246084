//! Talking to a supervisor.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::oneshot;

use super::census::{Census, Counter};
use super::event::{EventBus, EventStream};
use super::exit::ExitReason;
use super::kernel::{Kernel, RootState};
use super::path::ChildPath;
use super::spec::ChildSpec;
use super::supervisor::Command;
use super::tree::{NodeKind, Tree};

/// A supervisor, by its place: still good after it was restarted.
#[derive(Clone)]
pub struct SupervisorHandle {
    kernel: Arc<Kernel>,
    path: ChildPath,
}

/// Why a child could not be added.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartChildError {
    /// The id is taken.
    #[error("{0} exists already; terminate it first or choose another id")]
    AlreadyPresent(ChildPath),
    /// It ended before it was up; it has been forgotten.
    #[error("{path} did not start: {reason}")]
    Failed {
        /// The child.
        path: ChildPath,
        /// Why.
        reason: ExitReason,
    },
    /// The supervisor is down, going down, or between two lives.
    #[error("the supervisor {0} is not running; try again once it has been restarted")]
    NotRunning(ChildPath),
}

/// Why a child could not be stopped or restarted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChildError {
    /// No such child.
    #[error("there is no {0}; its supervisor's children are listed in the tree")]
    Unknown(ChildPath),
    /// The supervisor is down, going down, or between two lives.
    #[error("the supervisor {0} is not running; try again once it has been restarted")]
    NotRunning(ChildPath),
}

/// Why nothing was killed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KillError {
    /// No such place in the tree.
    #[error("there is no {0} in the tree")]
    Unknown(ChildPath),
    /// Nobody lives there at the moment.
    #[error("{0} is not running at the moment")]
    NotRunning(ChildPath),
}

impl SupervisorHandle {
    pub(crate) fn new(kernel: Arc<Kernel>, path: ChildPath) -> SupervisorHandle {
        SupervisorHandle { kernel, path }
    }

    /// The supervisor's place.
    pub fn path(&self) -> &ChildPath {
        &self.path
    }

    /// The supervisor at `path` of the same tree; whether it is there shows when it is used.
    pub fn supervisor(&self, path: &ChildPath) -> SupervisorHandle {
        SupervisorHandle::new(Arc::clone(&self.kernel), path.clone())
    }

    /// Adds a child after the present ones and waits until it is up. A child added this way is
    /// forgotten once it has ended for good.
    ///
    /// # Errors
    /// When the id is taken, the child ends before it is up (it is not tried again), or the supervisor
    /// is not running.
    pub async fn start_child(&self, spec: ChildSpec) -> Result<ChildPath, StartChildError> {
        let down = || StartChildError::NotRunning(self.path.clone());
        let (reply, answer) = oneshot::channel();
        self.command(Command::StartChild {
            spec: Box::new(spec),
            reply,
        })
        .ok_or_else(down)?;
        answer.await.map_err(|_| down())?
    }

    /// Stops a child as its spec says and waits until it is gone. A child of the supervisor's own spec
    /// stays in the tree, stopped; any other is forgotten.
    ///
    /// # Errors
    /// When there is no such child or the supervisor is not running.
    pub async fn terminate_child(&self, id: &str) -> Result<(), ChildError> {
        let down = || ChildError::NotRunning(self.path.clone());
        let (reply, answer) = oneshot::channel();
        self.command(Command::TerminateChild {
            id: id.into(),
            reply,
        })
        .ok_or_else(down)?;
        answer.await.map_err(|_| down())?
    }

    /// Stops a child as its spec says and starts it again, with whom its supervisor's strategy takes
    /// along; not counted as a failure. Returns once it has been asked to stop.
    ///
    /// # Errors
    /// When there is no such child or the supervisor is not running.
    pub async fn restart_child(
        &self,
        id: &str,
        reason: impl Into<String>,
    ) -> Result<(), ChildError> {
        let down = || ChildError::NotRunning(self.path.clone());
        let (reply, answer) = oneshot::channel();
        self.command(Command::RestartChild {
            id: id.into(),
            reason: reason.into(),
            reply,
        })
        .ok_or_else(down)?;
        answer.await.map_err(|_| down())?
    }

    /// Kills whatever lives at `path`, anywhere in the tree, as a panic would: the actor is dropped
    /// where it stands and its supervisor takes it for a failure. A supervisor dies with everybody
    /// below it.
    ///
    /// # Errors
    /// When there is nothing at `path`, or nothing that runs.
    pub fn kill(&self, path: &ChildPath) -> Result<(), KillError> {
        let node = self
            .kernel
            .root
            .find(path)
            .ok_or_else(|| KillError::Unknown(path.clone()))?;
        let killed = match node.kind() {
            NodeKind::Supervisor => self
                .kernel
                .commands(path)
                .is_some_and(|commands| commands.send(Command::Kill).is_ok()),
            NodeKind::Worker => node
                .running()
                .filter(|incarnation| incarnation.is_live())
                .map(|incarnation| incarnation.doom(ExitReason::Killed))
                .is_some(),
        };
        if killed {
            Ok(())
        } else {
            Err(KillError::NotRunning(path.clone()))
        }
    }

    /// This supervisor and everything below it, as it stands; `None` once it has been forgotten.
    pub fn tree(&self) -> Option<Tree> {
        Some(self.kernel.root.find(&self.path)?.snapshot())
    }

    /// Whatever is at `path`, anywhere in the tree, as it stands.
    pub fn snapshot(&self, path: &ChildPath) -> Option<Tree> {
        Some(self.kernel.root.find(path)?.snapshot())
    }

    /// The whole tree from the root, as it stands.
    pub fn whole_tree(&self) -> Tree {
        self.kernel.root.snapshot()
    }

    /// Everything that happens anywhere in the tree from now on.
    pub fn events(&self) -> EventStream {
        self.kernel.bus.subscribe()
    }

    /// Events lost by subscribers that were too slow, all of them together.
    pub fn events_lost(&self) -> u64 {
        self.kernel.bus.lost()
    }

    /// How much of everything is alive in the tree.
    pub fn alive(&self) -> Census {
        self.kernel.census.read()
    }

    /// Waits until the root's first children are up, or have failed once.
    ///
    /// # Errors
    /// The reason of its end, if the root is over.
    pub async fn ready(&self) -> Result<(), ExitReason> {
        let mut state = self.kernel.state.subscribe();
        match state
            .wait_for(|state| *state != RootState::Starting)
            .await
            .map(|state| state.clone())
        {
            Ok(RootState::Over(reason)) => Err(reason),
            _ => Ok(()),
        }
    }

    /// Waits for the end of the whole tree and says why it ended: `Shutdown` if it was asked to.
    pub async fn finished(&self) -> ExitReason {
        let mut state = self.kernel.state.subscribe();
        loop {
            if let RootState::Over(reason) = &*state.borrow_and_update() {
                return reason.clone();
            }
            if state.changed().await.is_err() {
                return ExitReason::Killed;
            }
        }
    }

    /// Stops this supervisor with everybody below it, in reverse start order, each by its deadline.
    /// Returns when all are gone.
    pub async fn shutdown(&self) {
        match (self.path.parent(), self.kernel.root.find(&self.path)) {
            (Some(parent), Some(node)) => {
                // An error says that it is gone already.
                let _ = self.supervisor(&parent).terminate_child(node.id()).await;
            }
            (Some(_), None) => {}
            (None, _) => {
                if self.command(Command::Shutdown).is_some() {
                    self.finished().await;
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn kernel_for_test(&self) -> Arc<Kernel> {
        Arc::clone(&self.kernel)
    }

    pub(crate) fn bus(&self) -> &EventBus {
        &self.kernel.bus
    }

    pub(crate) fn census(&self) -> &Counter {
        &self.kernel.census
    }

    fn command(&self, command: Command) -> Option<()> {
        self.kernel.commands(&self.path)?.send(command).ok()
    }
}

impl std::fmt::Debug for SupervisorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SupervisorHandle({})", self.path)
    }
}
