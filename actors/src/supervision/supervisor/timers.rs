//! A supervisor's timers: one ordered queue, every entry of which can be taken back.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::ChildKey;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The backoff of one child is over.
    Restart(ChildKey),
    /// A child has had its time to shut down.
    StopDeadline(ChildKey),
    /// A killed child's thread has had its time to drop it.
    KillDeadline(ChildKey),
    /// The hang watch looks at a child.
    Check(ChildKey),
    /// The backoff of a whole group is over.
    Group,
}

/// A timer that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Armed {
    at: Instant,
    order: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeMap<(Instant, u64), Timer>,
    order: u64,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Instant, timer: Timer) -> Armed {
        self.order += 1;
        self.queue.insert((at, self.order), timer);
        Armed {
            at,
            order: self.order,
        }
    }

    pub(crate) fn cancel(&mut self, armed: Option<Armed>) {
        if let Some(armed) = armed {
            self.queue.remove(&(armed.at, armed.order));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn due_timers_come_in_order_and_cancelled_ones_do_not_come() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.arm(at(20), Timer::Restart(ChildKey(2)));
        timers.arm(at(10), Timer::Check(ChildKey(1)));
        let cancelled = timers.arm(at(10), Timer::Group);
        timers.arm(at(10), Timer::Restart(ChildKey(3)));
        timers.cancel(Some(cancelled));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(15)), Some(Timer::Check(ChildKey(1))));
        assert_eq!(timers.pop_due(at(15)), Some(Timer::Restart(ChildKey(3))));
        assert_eq!(timers.pop_due(at(15)), None);
        assert_eq!(timers.pop_due(at(20)), Some(Timer::Restart(ChildKey(2))));
        assert_eq!(timers.len(), 0);
    }
}
