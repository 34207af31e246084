//! One child's way up and down, and what its end means.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::arbiter::launch_on;
use super::super::event::Happening;
use super::super::exit::ExitReason;
use super::super::handle::StartChildError;
use super::super::incarnation::{Incarnation, Life};
use super::super::spec::{Restart, Role, Shutdown, Strategy};
use super::super::tree::NodeState;
use super::child::{After, Link, Phase};
use super::timers::Timer;
use super::{ChildKey, Report, Supervisor};

impl Supervisor {
    /// Launches the next life of a child that is down.
    pub(super) fn start(&mut self, key: ChildKey) {
        let parent = self.handle();
        let now = Instant::now();
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let life = self.kernel.next_life();
        self.timers.cancel(child.timer.take());
        child.life = life;
        child.phase = Phase::Starting;
        child.up_since = None;
        child
            .node
            .set_state(NodeState::Starting, self.kernel.bus.now());
        let ended = child.ended.take();
        let restarts = ended.as_ref().map(|_| child.node.count_restart());
        match child.spec.role.clone() {
            Role::Worker(launch) => {
                let incarnation =
                    Incarnation::new(Arc::clone(&child.node), life, key, self.own.clone());
                child.link = Some(Link::Worker(Arc::clone(&incarnation)));
                match self.kernel.arbiters.place(child.spec.placement) {
                    Ok(slot) => {
                        child.slot = slot;
                        launch_on(child.slot.as_ref(), launch, &incarnation, parent);
                    }
                    Err(error) => incarnation.report_end(ExitReason::Failed(format!(
                        "no thread could be started for it: {error}"
                    ))),
                }
            }
            Role::Supervisor(spec) => {
                child.node.next_incarnation();
                let report = Report::Parent {
                    supervisor: self.own.clone(),
                    key,
                    life,
                };
                child.link = Some(Link::Supervisor(Supervisor::spawn(
                    Arc::clone(&self.kernel),
                    Arc::clone(&child.node),
                    spec(),
                    report,
                )));
            }
        }
        if let (Some((reason, delay)), Some(restarts)) = (ended, restarts) {
            let what = Happening::Restarted {
                reason,
                delay,
                restarts,
            };
            self.kernel
                .bus
                .emit(child.node.path(), child.node.incarnation(), what);
        }
        self.watch(key, now);
    }

    pub(super) fn on_started(&mut self, key: ChildKey, life: Life) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        if child.life != life || child.link.is_none() {
            return;
        }
        let path = child.node.path().clone();
        if matches!(child.phase, Phase::Starting) {
            child.phase = Phase::Up;
            child.up_since = Some(Instant::now());
            child
                .node
                .set_state(NodeState::Running, self.kernel.bus.now());
        }
        self.kernel
            .bus
            .emit(&path, child.node.incarnation(), Happening::Started);
        if let Some(reply) = child.start_reply.take() {
            // Whoever asked may have gone; the child stays.
            let _ = reply.send(Ok(path));
        }
    }

    /// Stops a child that runs; `brutal`ly or as its spec says. What was to come after an earlier stop
    /// that is still under way is replaced.
    pub(super) fn stop(&mut self, key: ChildKey, after: After, brutal: bool) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let Some(link) = &child.link else {
            return;
        };
        let first = !matches!(child.phase, Phase::Stopping(_));
        child.phase = Phase::Stopping(after);
        if !first && !brutal {
            return;
        }
        self.timers.cancel(child.check.take());
        child
            .node
            .set_state(NodeState::Stopping, self.kernel.bus.now());
        match (link, child.spec.shutdown) {
            (Link::Supervisor(commands), _) => {
                // It is gone already if this fails, and its report is under way.
                let _ = commands.send(if brutal {
                    super::Command::Kill
                } else {
                    super::Command::Shutdown
                });
            }
            (Link::Worker(incarnation), Shutdown::Timeout(limit)) if !brutal => {
                incarnation.stop();
                if incarnation.is_live() {
                    self.timers.cancel(child.timer.take());
                    child.timer = Some(
                        self.timers
                            .arm(Instant::now() + limit, Timer::StopDeadline(key)),
                    );
                }
            }
            (Link::Worker(incarnation), _) => incarnation.doom(ExitReason::Shutdown),
        }
    }

    pub(super) fn on_stop_deadline(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        child.timer = None;
        if let (Some(Link::Worker(incarnation)), Shutdown::Timeout(deadline)) =
            (&child.link, child.spec.shutdown)
        {
            self.kernel.bus.emit(
                child.node.path(),
                child.node.incarnation(),
                Happening::ShutDownOverran { deadline },
            );
            incarnation.doom(ExitReason::Shutdown);
        }
    }

    pub(super) fn on_ended(&mut self, key: ChildKey, life: Life, reason: ExitReason) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        if child.life != life || child.link.take().is_none() {
            return;
        }
        self.timers.cancel(child.timer.take());
        self.timers.cancel(child.check.take());
        child.slot = None;
        let number = child.node.incarnation();
        if reason == ExitReason::Hung {
            self.kernel
                .bus
                .emit(child.node.path(), number, Happening::Hung);
        }
        child.node.note_end(&reason);
        self.kernel.bus.emit(
            child.node.path(),
            number,
            Happening::Stopped {
                reason: reason.clone(),
            },
        );
        if let Some(reply) = child.start_reply.take() {
            let path = child.node.path().clone();
            let _ = reply.send(Err(StartChildError::Failed { path, reason }));
            self.forget(key);
            return;
        }
        match std::mem::replace(&mut child.phase, Phase::Down) {
            Phase::Stopping(After::Group) => {
                child.ended = Some((reason, Duration::ZERO));
                self.rest(key, Phase::Down);
            }
            Phase::Stopping(After::Rest) => self.rest(key, Phase::Done),
            Phase::Stopping(After::Restart(why)) => self.failed(key, ExitReason::Requested(why)),
            _ => self.failed(key, reason),
        }
    }

    /// Leaves a child down; forgets it if it was never to come back.
    pub(super) fn rest(&mut self, key: ChildKey, phase: Phase) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let for_good = matches!(phase, Phase::Done);
        child
            .node
            .set_state(NodeState::Stopped, self.kernel.bus.now());
        child.phase = phase;
        for reply in child.stop_replies.drain(..) {
            let _ = reply.send(Ok(()));
        }
        if child.spec.restart == Restart::Temporary || (for_good && child.dynamic) {
            self.forget(key);
        }
    }

    /// A child is down that was not asked to be: restart it, with whom the strategy takes along, or
    /// escalate.
    pub(super) fn failed(&mut self, key: ChildKey, reason: ExitReason) {
        let now = Instant::now();
        let exiting = self.is_exiting();
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        if exiting {
            self.rest(key, Phase::Down);
            return;
        }
        if !child.spec.restart.wants(&reason) {
            self.rest(key, Phase::Done);
            return;
        }
        child.has_failed = true;
        if reason.counts() && !self.restarts.admit(self.intensity, now) {
            child.phase = Phase::Down;
            self.escalate(key, reason);
            return;
        }
        let delay = match &reason {
            ExitReason::Requested(_) => Duration::ZERO,
            ExitReason::ArbiterLost => self.backoff.delay(1, &mut self.rng),
            _ => {
                let uptime = child.up_since.map_or(Duration::ZERO, |since| now - since);
                if uptime >= self.backoff.recovery() {
                    child.failures = 0;
                }
                child.failures = child.failures.saturating_add(1);
                self.backoff.delay(child.failures, &mut self.rng)
            }
        };
        child.ended = Some((reason, delay));
        child
            .node
            .set_state(NodeState::Restarting, self.kernel.bus.now());
        match self.strategy {
            Strategy::OneForOne => {
                child.phase = Phase::Backoff;
                child.timer = Some(self.timers.arm(now + delay, Timer::Restart(key)));
            }
            Strategy::RestForOne => self.regroup(key, now + delay),
            Strategy::OneForAll => {
                let first = self.first_key().unwrap_or(key);
                self.regroup(first, now + delay);
            }
        }
    }

    pub(super) fn on_backoff_over(&mut self, key: ChildKey) {
        let waiting = self
            .children
            .get_mut(&key)
            .filter(|child| matches!(child.phase, Phase::Backoff));
        if let Some(child) = waiting {
            child.timer = None;
            self.start(key);
        }
    }

    fn escalate(&mut self, key: ChildKey, reason: ExitReason) {
        let culprit = self
            .children
            .get(&key)
            .map(|child| child.node.path().to_string())
            .unwrap_or_default();
        self.kernel.bus.emit(
            self.node.path(),
            self.node.incarnation(),
            Happening::Escalated {
                reason: reason.clone(),
            },
        );
        self.exit(ExitReason::Escalated(format!("{culprit} {reason}")), false);
    }

    /// The children from `from` on, in start order.
    pub(super) fn keys_from(&self, from: ChildKey) -> impl DoubleEndedIterator<Item = ChildKey> {
        self.children
            .range((Bound::Included(from), Bound::Unbounded))
            .map(|(key, _)| *key)
    }
}
