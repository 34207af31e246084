//! One model's queue: earliest deadline first, answered in batches.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Answer, DeviceError, Model};
use crate::telemetry;

/// How a model is loaded and batched.
pub(crate) struct QueueSpec<M> {
    /// Name in metrics and errors.
    pub(crate) name: &'static str,
    /// Loads the model. Blocks.
    pub(crate) load: Box<dyn Fn() -> Result<M, String> + Send + Sync>,
    /// Largest batch.
    pub(crate) batch_max: usize,
    /// Longest wait for others to share a batch.
    pub(crate) batch_wait: Duration,
}

/// A request that waits.
pub(crate) struct Request<M: Model> {
    pub(crate) payload: M::Request,
    pub(crate) reply: oneshot::Sender<Result<Answer<M::Response>, DeviceError>>,
    pub(crate) deadline: Instant,
    pub(crate) submitted: Instant,
}

/// A queue as the threads see it.
pub(crate) trait AnyQueue: Send + Sync {
    /// When the next batch has to start (now, if it is full) and how urgent it is.
    fn next(&self) -> Option<Next>;
    /// Takes the next batch and answers it.
    fn run_batch(&self);
    /// When the model was used last, if it is loaded.
    fn used(&self) -> Option<Instant>;
    /// Unloads the model; batches under way keep it until they are done.
    fn unload(&self);
}

/// See [`AnyQueue::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// No earlier than this; none if the batch is full.
    pub(crate) start: Option<Instant>,
    /// The most urgent request's deadline.
    pub(crate) deadline: Instant,
}

pub(crate) struct Queue<M: Model> {
    spec: QueueSpec<M>,
    waiting: Mutex<Waiting<M>>,
    loaded: Mutex<Loaded<M>>,
}

struct Waiting<M: Model> {
    heap: BinaryHeap<Reverse<Entry<M>>>,
    next: u64,
    /// What a batch took lately, to start early enough for a deadline.
    compute: Duration,
}

struct Loaded<M> {
    model: Option<Arc<M>>,
    used: Instant,
}

/// Ordered by deadline, then by arrival.
struct Entry<M: Model> {
    number: u64,
    request: Request<M>,
}

impl<M: Model> Entry<M> {
    fn key(&self) -> (Instant, u64) {
        (self.request.deadline, self.number)
    }
}

impl<M: Model> PartialEq for Entry<M> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<M: Model> Eq for Entry<M> {}

impl<M: Model> PartialOrd for Entry<M> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<M: Model> Ord for Entry<M> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<M: Model> Queue<M> {
    pub(crate) fn new(spec: QueueSpec<M>) -> Self {
        let waiting = Waiting {
            heap: BinaryHeap::new(),
            next: 0,
            compute: Duration::ZERO,
        };
        let loaded = Loaded {
            model: None,
            used: Instant::now(),
        };
        Queue {
            spec,
            waiting: Mutex::new(waiting),
            loaded: Mutex::new(loaded),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.spec.name
    }

    pub(crate) fn push(&self, request: Request<M>) {
        let mut waiting = self.waiting.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.heap.push(Reverse(Entry { number, request }));
    }

    pub(crate) fn load(&self) -> Result<Arc<M>, DeviceError> {
        let mut loaded = self.loaded.lock();
        loaded.used = Instant::now();
        if let Some(model) = &loaded.model {
            return Ok(model.clone());
        }
        // The lock is held meanwhile: whoever else needs the model has to wait for it anyway.
        let model = (self.spec.load)().map_err(|reason| DeviceError::Load {
            model: self.spec.name,
            reason,
        })?;
        let model = Arc::new(model);
        loaded.model = Some(model.clone());
        Ok(model)
    }

    fn take(&self) -> Vec<Request<M>> {
        let mut waiting = self.waiting.lock();
        let mut batch = Vec::new();
        while batch.len() < self.spec.batch_max.max(1) {
            let Some(Reverse(entry)) = waiting.heap.pop() else {
                break;
            };
            if entry.request.reply.is_closed() {
                telemetry::request_dropped(self.spec.name);
            } else {
                batch.push(entry.request);
            }
        }
        batch
    }
}

impl<M: Model> AnyQueue for Queue<M> {
    fn next(&self) -> Option<Next> {
        let mut waiting = self.waiting.lock();
        while waiting
            .heap
            .peek()
            .is_some_and(|top| top.0.request.reply.is_closed())
        {
            waiting.heap.pop();
            telemetry::request_dropped(self.spec.name);
        }
        let urgent = &waiting.heap.peek()?.0.request;
        let full = waiting.heap.len() >= self.spec.batch_max.max(1);
        let in_time = urgent
            .deadline
            .checked_sub(waiting.compute)
            .unwrap_or(urgent.submitted);
        let start = in_time.min(urgent.submitted + self.spec.batch_wait);
        Some(Next {
            start: (!full).then_some(start),
            deadline: urgent.deadline,
        })
    }

    fn run_batch(&self) {
        let batch = self.take();
        if batch.is_empty() {
            return;
        }
        let model = match self.load() {
            Ok(model) => model,
            Err(error) => {
                tracing::error!(model = self.spec.name, %error, "a model could not be loaded");
                for request in batch {
                    let _ = request.reply.send(Err(error.clone()));
                }
                return;
            }
        };
        let started = Instant::now();
        for request in &batch {
            telemetry::queue_wait(self.spec.name, started - request.submitted);
        }
        let (payloads, replies): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|request| (request.payload, request.reply))
            .unzip();
        let size = replies.len() as u32;
        // A batch that panics must not take the thread along; the replies are dropped, which tells
        // their stages, and the model is loaded afresh as its state may be half changed.
        let Ok(responses) = catch_unwind(AssertUnwindSafe(|| model.run(payloads))) else {
            tracing::error!(
                model = self.spec.name,
                "a model panicked and will be loaded afresh"
            );
            self.unload();
            return;
        };
        let compute = started.elapsed();
        telemetry::batch(self.spec.name, size as usize, compute);
        {
            let mut waiting = self.waiting.lock();
            waiting.compute = (waiting.compute * 7 + compute) / 8;
        }
        for (response, reply) in responses.into_iter().zip(replies) {
            let _ = reply.send(Ok(Answer {
                response,
                compute: compute / size,
            }));
        }
    }

    fn used(&self) -> Option<Instant> {
        // A lock that is held is held by a load: in use.
        let Some(loaded) = self.loaded.try_lock() else {
            return Some(Instant::now());
        };
        loaded.model.is_some().then_some(loaded.used)
    }

    fn unload(&self) {
        self.loaded.lock().model = None;
    }
}
