//! What all stages have in common: an actor around one loop over the logs.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;

use super::bell::{Ears, Ring};
use super::journal::Fenced;
use crate::supervision::{
    Backoff, ChildContext, ChildSpec, InboxStream, Shutdown, SupervisorHandle, SupervisorSpec,
};

/// A stage whose thread has not answered for so long has hung.
const HANG_AFTER: Duration = Duration::from_secs(5);

/// Why a stage's loop ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    /// A newer incarnation works.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// An engine or the device failed; a restart replays from the logs.
    #[error("{0}")]
    Failed(String),
    /// What the stage reads is no longer there.
    #[error("the stage's log is closed")]
    Closed,
}

/// An actor that runs a stage's loop; it fails when the loop ends.
pub(crate) struct StageActor {
    child: ChildContext,
    run: Option<LocalBoxFuture<'static, Result<(), StageError>>>,
}

impl Actor for StageActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        let Some(run) = self.run.take() else { return };
        let child = self.child.clone();
        self.child.spawn_linked(async move {
            if let Err(error) = run.await {
                child.fail(error.to_string());
            }
        });
    }
}

/// The spec of a stage that runs `body`.
pub(crate) fn spec<F, R>(id: String, body: F) -> ChildSpec
where
    F: Fn(ChildContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), StageError>> + 'static,
{
    let worker = move |child: ChildContext| {
        let run = body(child.clone());
        StageActor {
            child,
            run: Some(Box::pin(run)),
        }
    };
    // Nothing is lost by killing a stage, so nothing is waited for.
    ChildSpec::worker(id, worker)
        .shutdown(Shutdown::Kill)
        .hang_after(HANG_AFTER)
}

/// A supervisor of stages or of rooms' parts: whatever befalls one of them is put right at once, and
/// only what keeps failing is given up to the level above.
pub(crate) fn lenient(id: &str) -> SupervisorSpec {
    let backoff = Backoff {
        initial: Duration::from_millis(5),
        factor: 2.0,
        max: Duration::from_secs(1),
        jitter: 0.2,
    };
    SupervisorSpec::new(id)
        .intensity(30, Duration::from_secs(10))
        .backoff(backoff)
}

/// The ids of a supervisor's children, in start order.
pub(crate) fn children(supervisor: &SupervisorHandle) -> Vec<Arc<str>> {
    let tree = supervisor.tree();
    tree.map_or_else(Vec::new, |tree| {
        tree.children.into_iter().map(|child| child.id).collect()
    })
}

/// A stage's ears while one incarnation has them.
pub(crate) struct Listening {
    ears: Ears,
    rings: InboxStream<Ring>,
}

impl Listening {
    /// Takes the ears over from the incarnation before.
    pub(crate) fn new(ears: Option<Ears>, child: &ChildContext) -> Result<Self, StageError> {
        let ears = ears.ok_or(StageError::Closed)?;
        let rings = ears.inbox.stream(child);
        // What rang before is found by the first look at the log.
        ears.heard();
        Ok(Listening { ears, rings })
    }

    /// Waits for the bell.
    pub(crate) async fn ring(&mut self) -> Result<(), StageError> {
        self.rings.next().await.ok_or(StageError::Closed)?;
        self.ears.heard();
        Ok(())
    }
}
