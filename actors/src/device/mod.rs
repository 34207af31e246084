//! The CPU device: all model work of the process, on threads of its own.
//!
//! Every model has one queue, whoever asks. A batch is formed when it is full or when waiting longer
//! would make its most urgent request late; among the queues that have one, the earliest deadline
//! goes first. A request whose stage has died is dropped before it costs anything. At most
//! `resident_cap` models are loaded, and one that nobody asked for `ttl` long is unloaded.
//!
//! The queues outlive the [`DeviceActor`]: when it is restarted its threads end after their batch and
//! the next incarnation's threads go on with what waits.

mod actor;
mod queue;
mod threads;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub(crate) use actor::DeviceActor;
pub(crate) use queue::QueueSpec;
use queue::{AnyQueue, Queue, Request};
use threads::Shared;

use crate::settings::DeviceSettings;

/// Work on one kind of request. One value is used by several threads at once.
pub(crate) trait Model: Send + Sync + 'static {
    /// What is asked.
    type Request: Send + 'static;
    /// What is answered.
    type Response: Send + 'static;

    /// Answers a batch, in order. Blocks for the compute.
    fn run(&self, batch: Vec<Self::Request>) -> Vec<Self::Response>;
}

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeviceError {
    /// The model could not be loaded.
    #[error("the model `{model}` could not be loaded: {reason}")]
    Load {
        /// The queue's name.
        model: &'static str,
        /// The loader's words.
        reason: String,
    },
    /// The model panicked on the batch that held the request.
    #[error("the model `{model}` failed on a batch")]
    Failed {
        /// The queue's name.
        model: &'static str,
    },
}

/// An answer and what it cost.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// The answer.
    pub(crate) response: T,
    /// This request's share of the batch's compute time.
    pub(crate) compute: Duration,
}

/// A handle to the device. Clones are the same device.
#[derive(Clone)]
pub(crate) struct Device {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

impl Device {
    /// A device without threads; a [`DeviceActor`] brings them.
    pub(crate) fn new(settings: DeviceSettings) -> Self {
        Device {
            shared: Arc::new(Shared::new(settings)),
        }
    }

    /// A device that answers every request by itself after a (virtual) millisecond.
    #[cfg(test)]
    pub(crate) fn inline(settings: DeviceSettings) -> Self {
        Device {
            shared: Arc::new(Shared::inline(settings)),
        }
    }

    /// Adds a model's queue.
    pub(crate) fn queue<M: Model>(&self, spec: QueueSpec<M>) -> ModelQueue<M> {
        let queue = Arc::new(Queue::new(spec));
        self.shared.add(queue.clone() as Arc<dyn AnyQueue>);
        ModelQueue {
            shared: self.shared.clone(),
            queue,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// A model's queue. Clones are the same queue.
pub(crate) struct ModelQueue<M: Model> {
    shared: Arc<Shared>,
    queue: Arc<Queue<M>>,
}

impl<M: Model> Clone for ModelQueue<M> {
    fn clone(&self) -> Self {
        ModelQueue {
            shared: self.shared.clone(),
            queue: self.queue.clone(),
        }
    }
}

impl<M: Model> std::fmt::Debug for ModelQueue<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModelQueue({})", self.queue.name())
    }
}

impl<M: Model> ModelQueue<M> {
    /// Asks and waits for the answer, which is wanted by `deadline`. Dropping the future withdraws
    /// the request if no thread has taken it up.
    pub(crate) async fn run(
        &self,
        request: M::Request,
        deadline: Instant,
    ) -> Result<Answer<M::Response>, DeviceError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Request {
            payload: request,
            reply,
            deadline,
            submitted: Instant::now(),
        });
        self.shared.rouse();
        #[cfg(test)]
        if self.shared.is_inline() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.queue.run_batch();
        }
        answer.await.unwrap_or(Err(DeviceError::Failed {
            model: self.queue.name(),
        }))
    }

    /// Loads the model now, so that the first request does not wait for it. Blocks.
    pub(crate) fn load(&self) -> Result<(), DeviceError> {
        self.queue.load().map(drop)
    }
}

#[cfg(test)]
mod tests;
