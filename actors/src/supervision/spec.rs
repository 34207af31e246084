//! What a supervisor is told about its children. OTP's words with OTP's meanings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use serde::Serialize;

use super::backoff::Backoff;
use super::context::ChildContext;
use super::exit::ExitReason;
use super::intensity::Intensity;
use super::runner::{Launch, launcher};

/// When a child that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Only if it failed ([`ExitReason::is_abnormal`]).
    Transient,
    /// Never; it is forgotten when it ends.
    Temporary,
}

impl Restart {
    pub(crate) fn wants(self, reason: &ExitReason) -> bool {
        match self {
            Restart::Permanent => true,
            Restart::Transient => reason.is_abnormal(),
            Restart::Temporary => matches!(reason, ExitReason::Requested(_)),
        }
    }
}

/// How a child is stopped. Supervisors as children have as long as their own children need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Asked first (`ctx.stop()`), killed after this long.
    Timeout(Duration),
    /// Killed at once.
    Kill,
}

/// Whom the failure of one child takes along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Nobody.
    #[default]
    OneForOne,
    /// All its siblings.
    OneForAll,
    /// The siblings that were started after it.
    RestForOne,
}

/// The thread that an actor lives on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// The least busy of the kernel's pool ([`RootOptions::arbiters`](super::RootOptions::arbiters));
    /// the kernel's own thread if the pool is of size 0.
    #[default]
    Pool,
    /// The thread that the supervisors run on. Only for actors that never block: a hang of this
    /// thread is seen by nobody.
    Kernel,
    /// A thread of its own, ended with the incarnation.
    Own,
}

#[derive(Clone)]
pub(crate) enum Role {
    Worker(Launch),
    Supervisor(Arc<dyn Fn() -> SupervisorSpec + Send + Sync>),
}

/// One child: how to make it, when to make it again, how to stop it.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) id: Arc<str>,
    pub(crate) role: Role,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) hang_after: Option<Duration>,
    pub(crate) placement: Placement,
}

impl ChildSpec {
    /// An actor. `factory` runs on the actor's thread at every start; what must outlive the
    /// incarnation ([`Inbox`](super::Inbox), [`Mailbox`](super::Mailbox), logs) it clones from what it
    /// captured. Permanent, 5 s to shut down, no hang watch, on the pool, unless said otherwise.
    pub fn worker<A, F>(id: impl Into<Arc<str>>, factory: F) -> ChildSpec
    where
        A: Actor<Context = Context<A>>,
        F: Fn(ChildContext) -> A + Send + Sync + 'static,
    {
        ChildSpec::new(id.into(), Role::Worker(launcher(factory)))
    }

    /// A supervisor, whose id in the tree is `id`. Its restart starts the children of `spec` anew;
    /// those that were added to it later are gone, as in OTP.
    pub fn supervisor(id: impl Into<Arc<str>>, spec: SupervisorSpec) -> ChildSpec {
        ChildSpec::supervisor_with(id, move || spec.clone())
    }

    /// A supervisor whose children are worked out anew at every start.
    pub fn supervisor_with(
        id: impl Into<Arc<str>>,
        spec: impl Fn() -> SupervisorSpec + Send + Sync + 'static,
    ) -> ChildSpec {
        ChildSpec::new(id.into(), Role::Supervisor(Arc::new(spec)))
    }

    fn new(id: Arc<str>, role: Role) -> ChildSpec {
        ChildSpec {
            id,
            role,
            restart: Restart::default(),
            shutdown: Shutdown::Timeout(Duration::from_secs(5)),
            hang_after: None,
            placement: Placement::default(),
        }
    }

    /// When it is started again.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How it is stopped.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Without progress for this long it has hung, and fails (see [`Progress`](super::Progress)). Found
    /// within a quarter of `limit` more. No effect on supervisors.
    pub fn hang_after(mut self, limit: Duration) -> Self {
        self.hang_after = Some(limit);
        self
    }

    /// The thread it lives on. No effect on supervisors.
    pub fn arbiter(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Its id among its siblings.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .field("shutdown", &self.shutdown)
            .field("hang_after", &self.hang_after)
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

/// A supervisor and the children it starts with.
#[derive(Clone, Debug)]
pub struct SupervisorSpec {
    pub(crate) id: Arc<str>,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) backoff: Backoff,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) seed: u64,
}

impl SupervisorSpec {
    /// One for one, default intensity and backoff, no children yet. `id` is the first segment of the
    /// paths when this is the root; a nested supervisor goes by its [`ChildSpec`]'s id.
    pub fn new(id: impl Into<Arc<str>>) -> SupervisorSpec {
        SupervisorSpec {
            id: id.into(),
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            children: Vec::new(),
            seed: 0,
        }
    }

    /// Whom a failure takes along.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many restarts are too many.
    pub fn intensity(mut self, max: u32, window: Duration) -> Self {
        self.intensity = Intensity { max, window };
        self
    }

    /// How long to wait before a restart.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// One child more, started after those before it. A child of the same id is replaced.
    pub fn child(mut self, spec: ChildSpec) -> Self {
        self.children.retain(|known| known.id != spec.id);
        self.children.push(spec);
        self
    }

    /// Seed of this supervisor's backoff jitter, mixed with the root's and its path.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
