//! The hang watch.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::event::Happening;
use super::super::exit::ExitReason;
use super::super::incarnation::Life;
use super::child::{Link, Phase};
use super::timers::Timer;
use super::{ChildKey, Supervisor};

impl Supervisor {
    /// Begins to watch a life that has just been launched.
    pub(super) fn watch(&mut self, key: ChildKey, now: Instant) {
        let epoch = self.kernel.epoch;
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        self.timers.cancel(child.check.take());
        if let (Some(limit), Some(Link::Worker(incarnation))) = (child.spec.hang_after, &child.link)
        {
            child.progress = (incarnation.progress().sample(), now);
            child.checked = now;
            let next_look = next_look(epoch, now, limit);
            child.check = Some(self.timers.arm(next_look, Timer::Check(key)));
        }
    }

    /// Looks for progress since the last look.
    pub(super) fn check(&mut self, key: ChildKey) {
        let now = Instant::now();
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.check = None;
        let (Some(limit), Some(Link::Worker(incarnation))) = (child.spec.hang_after, &child.link)
        else {
            return;
        };
        if !matches!(child.phase, Phase::Starting | Phase::Up) || !incarnation.is_live() {
            return;
        }
        let sample = incarnation.progress().sample();
        let (before, since) = &child.progress;
        // If the watch itself was held up, nobody was asked.
        let overslept = now - child.checked > interval(limit) * 2;
        // Nobody can answer while a neighbour that said it would take long has the thread.
        let excused = overslept
            || child
                .slot
                .as_ref()
                .is_some_and(|slot| slot.is_busy_with_consent());
        child.checked = now;
        if excused || sample.is_progress_since(before) {
            child.progress = (sample, now);
        } else if now - *since >= limit {
            incarnation.doom(ExitReason::Hung);
            return;
        }
        incarnation.ping();
        let next_look = next_look(self.kernel.epoch, now, limit);
        child.check = Some(self.timers.arm(next_look, Timer::Check(key)));
    }

    /// A life has been killed, by whomever: its thread has a little time to drop it.
    pub(super) fn on_doomed(&mut self, key: ChildKey, life: Life) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        if child.life != life || child.link.is_none() {
            return;
        }
        self.timers.cancel(child.timer.take());
        self.timers.cancel(child.check.take());
        child.timer = Some(self.timers.arm(
            Instant::now() + self.kernel.kill_grace,
            Timer::KillDeadline(key),
        ));
    }

    /// A killed life's thread has not dropped it in time: something blocks the thread.
    pub(super) fn on_kill_deadline(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.timer = None;
        let Some(slot) = child.slot.as_ref().map(Arc::clone) else {
            // The kernel's own thread is not blocked, since this runs on it; the end is on its way.
            return;
        };
        if slot.is_busy_with_consent() && !matches!(child.phase, Phase::Stopping(_)) {
            // It said that it would take long; it is dropped when it is done.
            child.timer = Some(self.timers.arm(
                Instant::now() + self.kernel.kill_grace,
                Timer::KillDeadline(key),
            ));
            return;
        }
        if let Some(actors) = self.kernel.arbiters.write_off(&slot) {
            self.kernel.bus.emit(
                child.node.path(),
                child.node.incarnation(),
                Happening::ArbiterLost {
                    arbiter: slot.number(),
                    actors,
                },
            );
        }
    }
}

fn interval(limit: Duration) -> Duration {
    (limit / 4).max(Duration::from_millis(1))
}

/// The next look is on a beat that all supervisors share: the threads of a thousand idle actors are
/// woken for all of them at once, not for each.
fn next_look(epoch: Instant, now: Instant, limit: Duration) -> Instant {
    let interval = interval(limit);
    // Half an interval from now at least, so that two looks are never too close for an answer.
    let earliest = now.saturating_duration_since(epoch) + interval / 2;
    let past_beat = earliest.as_nanos() % interval.as_nanos();
    // Less than an interval, so it fits.
    epoch + earliest + interval - Duration::from_nanos(past_beat as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_fall_on_a_common_beat() {
        let epoch = Instant::now();
        let limit = Duration::from_secs(2);
        let at = |ms| next_look(epoch, epoch + Duration::from_millis(ms), limit) - epoch;
        let looks = [0, 249, 250, 500, 700, 749, 750].map(|ms| at(ms).as_millis());
        assert_eq!(looks, [500, 500, 1000, 1000, 1000, 1000, 1500]);
    }
}
