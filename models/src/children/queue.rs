//! Jobs waiting for one of a pool's threads.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

/// A first-in first-out queue that ends when it is closed. Bounded by its callers, each of which
/// waits for the answer to the job it pushed.
#[derive(Debug)]
pub(crate) struct JobQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    jobs: VecDeque<T>,
    closed: bool,
}

impl<T> JobQueue<T> {
    pub(crate) fn new() -> Self {
        let state = State {
            jobs: VecDeque::new(),
            closed: false,
        };
        JobQueue {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Adds a job, or gives it back when the queue is closed.
    pub(crate) fn push(&self, job: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The oldest job; waits for one. `None` once the queue is closed.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends the queue and drops the jobs in it.
    pub(crate) fn close(&self) {
        let jobs = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.jobs)
        };
        self.changed.notify_all();
        drop(jobs);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().jobs.len()
    }
}
