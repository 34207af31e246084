//! What all supervisors of a tree share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::Instant;

use super::arbiter::Arbiters;
use super::census::Counter;
use super::event::EventBus;
use super::exit::ExitReason;
use super::incarnation::Life;
use super::path::ChildPath;
use super::supervisor::Command;
use super::tree::Node;

/// How far the root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootState {
    Starting,
    Running,
    Over(ExitReason),
}

pub(crate) struct Kernel {
    pub(crate) bus: EventBus,
    pub(crate) census: Counter,
    pub(crate) arbiters: Arbiters,
    pub(crate) root: Arc<Node>,
    pub(crate) state: watch::Sender<RootState>,
    pub(crate) seed: u64,
    pub(crate) kill_grace: Duration,
    /// When the kernel began; what is done at intervals is done at multiples of them since then.
    pub(crate) epoch: Instant,
    pub(crate) lives: AtomicU64,
    supervisors: Mutex<HashMap<ChildPath, UnboundedSender<Command>>>,
}

impl Kernel {
    pub(crate) fn new(
        bus: EventBus,
        census: Counter,
        arbiters: Arbiters,
        root: Arc<Node>,
        seed: u64,
        kill_grace: Duration,
    ) -> Arc<Kernel> {
        Arc::new(Kernel {
            bus,
            census,
            arbiters,
            root,
            state: watch::Sender::new(RootState::Starting),
            seed,
            kill_grace,
            epoch: Instant::now(),
            lives: AtomicU64::new(0),
            supervisors: Mutex::default(),
        })
    }

    pub(crate) fn next_life(&self) -> Life {
        Life(self.lives.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn register(&self, path: &ChildPath, commands: UnboundedSender<Command>) {
        self.supervisors.lock().insert(path.clone(), commands);
    }

    pub(crate) fn unregister(&self, path: &ChildPath, commands: &UnboundedSender<Command>) {
        let mut supervisors = self.supervisors.lock();
        if supervisors
            .get(path)
            .is_some_and(|known| known.same_channel(commands))
        {
            supervisors.remove(path);
        }
    }

    pub(crate) fn commands(&self, path: &ChildPath) -> Option<UnboundedSender<Command>> {
        self.supervisors.lock().get(path).cloned()
    }

    /// The seed of one supervisor's randomness.
    pub(crate) fn seed_for(&self, path: &ChildPath, own: u64) -> u64 {
        // FNV-1a over the path, so that supervisors of one tree do not back off in step.
        let hash = path
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3_u64)
            });
        hash ^ self.seed ^ own.rotate_left(32)
    }
}
