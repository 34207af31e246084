//! How much of everything is alive: the proof that nothing leaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

/// What is alive in a tree at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Census {
    /// Actors that exist (not yet dropped).
    pub actors: usize,
    /// Tasks that run actors.
    pub tasks: usize,
    /// Supervisors that run.
    pub supervisors: usize,
    /// Threads of the kernel's own that run.
    pub arbiters: usize,
    /// Threads written off because an actor blocked them, and blocked still.
    pub abandoned: usize,
}

#[derive(Debug, Default)]
struct Counts {
    actors: AtomicUsize,
    tasks: AtomicUsize,
    supervisors: AtomicUsize,
    arbiters: AtomicUsize,
    abandoned: AtomicUsize,
}

/// The running count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<Counts>);

impl Counter {
    pub(crate) fn read(&self) -> Census {
        let read = |count: &AtomicUsize| count.load(Ordering::Acquire);
        Census {
            actors: read(&self.0.actors),
            tasks: read(&self.0.tasks),
            supervisors: read(&self.0.supervisors),
            arbiters: read(&self.0.arbiters),
            abandoned: read(&self.0.abandoned),
        }
    }

    pub(crate) fn actor(&self) -> Counted {
        self.count(|counts| &counts.actors)
    }

    pub(crate) fn task(&self) -> Counted {
        self.count(|counts| &counts.tasks)
    }

    pub(crate) fn supervisor(&self) -> Counted {
        self.count(|counts| &counts.supervisors)
    }

    pub(crate) fn arbiter(&self) -> Counted {
        self.count(|counts| &counts.arbiters)
    }

    pub(crate) fn abandoned(&self) -> Counted {
        self.count(|counts| &counts.abandoned)
    }

    fn count(&self, which: fn(&Counts) -> &AtomicUsize) -> Counted {
        which(&self.0).fetch_add(1, Ordering::AcqRel);
        Counted {
            counts: Arc::clone(&self.0),
            which,
        }
    }
}

/// Counts as long as it lives.
pub(crate) struct Counted {
    counts: Arc<Counts>,
    which: fn(&Counts) -> &AtomicUsize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.which)(&self.counts).fetch_sub(1, Ordering::AcqRel);
    }
}
