//! The root of a tree.

use std::time::Duration;

use super::arbiter::Arbiters;
use super::census::Counter;
use super::event::{EventBus, KernelClock};
use super::handle::SupervisorHandle;
use super::kernel::Kernel;
use super::path::ChildPath;
use super::spec::SupervisorSpec;
use super::supervisor::{Report, Supervisor};
use super::tree::{Node, NodeKind};

/// What a tree needs to know that is no supervisor's own business.
#[derive(Clone, Debug)]
pub struct RootOptions {
    /// Threads for actors placed on [`Placement::Pool`](super::Placement::Pool). With 0 they live on the
    /// kernel's own thread, which is what tests in virtual time want.
    pub arbiters: usize,
    /// Seed of every backoff's jitter.
    pub seed: u64,
    /// How long a killed actor's thread may take to drop it before the thread counts as blocked and is
    /// written off.
    pub kill_grace: Duration,
    /// Events kept for a subscriber that has fallen behind.
    pub event_capacity: usize,
}

impl Default for RootOptions {
    /// No threads, seed 0, a grace of 1 s, 1024 events.
    fn default() -> Self {
        RootOptions {
            arbiters: 0,
            seed: 0,
            kill_grace: Duration::from_secs(1),
            event_capacity: 1024,
        }
    }
}

/// Starts a tree. Its supervisors run on the current thread, which must be one of an `actix::System`;
/// returns at once, [`SupervisorHandle::ready`] waits for the children.
///
/// All time is tokio's: paused, the tree's clock stands still too (for the actors on the kernel's
/// thread; threads of a pool have clocks of their own).
pub fn start_root(spec: SupervisorSpec, options: RootOptions) -> SupervisorHandle {
    let bus = EventBus::new(options.event_capacity, KernelClock::starting_now());
    let census = Counter::default();
    let path = ChildPath::root(&spec.id);
    let node = Node::new(
        std::sync::Arc::clone(&spec.id),
        path.clone(),
        NodeKind::Supervisor,
        bus.now(),
    );
    let kernel = Kernel::new(
        bus,
        census.clone(),
        Arbiters::new(options.arbiters, census),
        std::sync::Arc::clone(&node),
        options.seed,
        options.kill_grace,
    );
    let handle = SupervisorHandle::new(std::sync::Arc::clone(&kernel), path);
    node.next_incarnation();
    Supervisor::spawn(kernel, node, spec, Report::Root);
    handle
}
