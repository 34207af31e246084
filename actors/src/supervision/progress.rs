//! Progress heartbeats: how a hang is told from work.
//!
//! The kernel pings every child that has a `hang_after`. A ping is answered from inside the actor's
//! own context, by the same loop that handles its messages, so an actor that blocks its thread, or
//! waits in `ctx.wait` for something that never comes, does not answer: it hangs, without having to
//! cooperate. What an answer cannot show is work that runs beside the context (a spawned future that
//! waits for a device). For that an actor holds a [`Working`] guard: while it does, answers no longer
//! count and only [`Progress::record`] does. Work that is known to take long goes into a
//! [`ProtectZone`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[derive(Debug, Default)]
struct Counters {
    answers: AtomicU64,
    records: AtomicU64,
    working: AtomicUsize,
    protected: AtomicUsize,
}

/// One incarnation's heartbeat. Clone it into whatever does the work.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

impl Progress {
    /// Says that the actor is getting on: the hang watch starts over.
    pub fn record(&self) {
        self.0.records.fetch_add(1, Ordering::Relaxed);
    }

    /// From now until the guard is dropped the actor owes a [`Progress::record`] at least every
    /// `hang_after`.
    pub fn working(&self) -> Working {
        self.0.working.fetch_add(1, Ordering::Relaxed);
        Working(self.clone())
    }

    /// From now until the guard is dropped the actor cannot be found hung.
    pub fn protect_zone(&self) -> ProtectZone {
        self.0.protected.fetch_add(1, Ordering::Relaxed);
        ProtectZone(self.clone())
    }

    pub(crate) fn answer(&self) {
        self.0.answers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn protected(&self) -> bool {
        self.0.protected.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn sample(&self) -> Sample {
        Sample {
            answers: self.0.answers.load(Ordering::Relaxed),
            records: self.0.records.load(Ordering::Relaxed),
            working: self.0.working.load(Ordering::Relaxed) > 0,
            protected: self.protected(),
        }
    }
}

/// See [`Progress::working`].
#[derive(Debug)]
#[must_use = "the work is over when this is dropped"]
pub struct Working(Progress);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.record();
        self.0.0.working.fetch_sub(1, Ordering::Relaxed);
    }
}

/// See [`Progress::protect_zone`].
#[derive(Debug)]
#[must_use = "the protection ends when this is dropped"]
pub struct ProtectZone(Progress);

impl Drop for ProtectZone {
    fn drop(&mut self) {
        self.0.record();
        self.0.0.protected.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The heartbeat at one check of the hang watch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    answers: u64,
    records: u64,
    working: bool,
    protected: bool,
}

impl Sample {
    /// Whether there was progress between `before` and this sample.
    pub(crate) fn is_progress_since(&self, before: &Sample) -> bool {
        self.protected
            || self.records != before.records
            || (!self.working && self.answers != before.answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_only_while_nothing_is_owed() {
        let progress = Progress::default();
        let before = progress.sample();
        assert!(!progress.sample().is_progress_since(&before));
        progress.answer();
        assert!(progress.sample().is_progress_since(&before));

        let work = progress.working();
        let before = progress.sample();
        progress.answer();
        assert!(
            !progress.sample().is_progress_since(&before),
            "only a record counts"
        );
        progress.record();
        assert!(progress.sample().is_progress_since(&before));
        let before = progress.sample();
        drop(work);
        assert!(
            progress.sample().is_progress_since(&before),
            "finishing is progress"
        );
    }

    #[test]
    fn a_protect_zone_is_never_a_hang_and_nests() {
        let progress = Progress::default();
        let outer = progress.protect_zone();
        let inner = progress.protect_zone();
        drop(inner);
        let before = progress.sample();
        assert!(progress.sample().is_progress_since(&before));
        drop(outer);
        let before = progress.sample();
        assert!(!progress.sample().is_progress_since(&before));
    }
}
