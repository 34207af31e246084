//! Operations on several children: stop them in reverse start order, then start them again in order
//! (a restart of a group) or end (shutdown and escalation).

use tokio::time::Instant;

use super::super::exit::ExitReason;
use super::super::tree::NodeState;
use super::child::{After, Phase};
use super::timers::{Armed, Timer};
use super::{ChildKey, Supervisor};

/// The one operation that is under way.
pub(super) struct GroupOp {
    /// The first child it is about; all later ones are too.
    from: ChildKey,
    step: Step,
    then: Then,
}

enum Step {
    /// Until none of them runs.
    Stopping,
    /// Until the backoff is over.
    Waiting(Armed),
    /// Until all of them are up, one after the other.
    Starting,
}

enum Then {
    StartAt(Instant),
    End { reason: ExitReason, brutal: bool },
}

impl GroupOp {
    /// The first start of all children.
    pub(super) fn first_start(from: ChildKey) -> GroupOp {
        GroupOp {
            from,
            step: Step::Starting,
            then: Then::StartAt(Instant::now()),
        }
    }
}

impl Supervisor {
    pub(super) fn is_exiting(&self) -> bool {
        self.operation
            .as_ref()
            .is_some_and(|operation| matches!(operation.then, Then::End { .. }))
    }

    /// Stops every child in reverse start order, then ends.
    pub(super) fn exit(&mut self, reason: ExitReason, brutal: bool) {
        let Some(from) = self.first_key() else {
            self.outcome.get_or_insert(reason);
            return;
        };
        let reason = match self.operation.take() {
            Some(GroupOp {
                then:
                    Then::End {
                        reason: first,
                        brutal: was,
                    },
                ..
            }) if was || !brutal => {
                self.operation = Some(GroupOp {
                    from,
                    step: Step::Stopping,
                    then: Then::End {
                        reason: first,
                        brutal: was,
                    },
                });
                return;
            }
            Some(GroupOp {
                step: Step::Waiting(armed),
                ..
            }) => {
                self.timers.cancel(Some(armed));
                reason
            }
            _ => reason,
        };
        // What was asked for and has not begun will not happen; dropping it says so.
        self.deferred.clear();
        self.operation = Some(GroupOp {
            from,
            step: Step::Stopping,
            then: Then::End { reason, brutal },
        });
        self.node
            .set_state(NodeState::Stopping, self.kernel.bus.now());
    }

    /// Restarts the children from `from` on, no sooner than `at`. An operation that is under way is
    /// widened.
    pub(super) fn regroup(&mut self, from: ChildKey, at: Instant) {
        let (from, at) = match self.operation.take() {
            Some(GroupOp {
                from: known,
                step,
                then: Then::StartAt(known_at),
            }) => {
                if let Step::Waiting(armed) = step {
                    self.timers.cancel(Some(armed));
                }
                (from.min(known), at.max(known_at))
            }
            Some(exiting) => {
                self.operation = Some(exiting);
                return;
            }
            None => (from, at),
        };
        self.operation = Some(GroupOp {
            from,
            step: Step::Stopping,
            then: Then::StartAt(at),
        });
    }

    pub(super) fn on_group_backoff_over(&mut self) {
        if let Some(operation) = &mut self.operation {
            operation.step = Step::Starting;
        }
    }

    /// Takes the operation as far as it gets without waiting.
    pub(super) fn drive(&mut self) {
        while let Some(operation) = &self.operation {
            let from = operation.from;
            match operation.step {
                Step::Stopping => {
                    if self.stop_next(from) {
                        return;
                    }
                    if !self.all_stopped() {
                        return;
                    }
                }
                Step::Waiting(_) => return,
                Step::Starting => {
                    if self.start_next(from) {
                        return;
                    }
                    self.operation = None;
                }
            }
        }
    }

    /// Stops the last of the group that still runs; `false` when none does.
    fn stop_next(&mut self, from: ChildKey) -> bool {
        let brutal = matches!(
            self.operation,
            Some(GroupOp {
                then: Then::End { brutal: true, .. },
                ..
            })
        );
        let exiting = self.is_exiting();
        let running = self.keys_from(from).rev().find(|key| {
            self.children
                .get(key)
                .is_some_and(|child| child.link.is_some())
        });
        let Some(key) = running else {
            return false;
        };
        let under_way = self.children.get(&key).map(|child| &child.phase);
        match under_way {
            // Whoever asked for that stop still gets an answer.
            Some(Phase::Stopping(After::Group | After::Rest)) if !brutal => {}
            Some(Phase::Stopping(After::Restart(_))) if !exiting && !brutal => {}
            _ => self.stop(key, After::Group, brutal),
        }
        true
    }

    /// Goes on from a group of which nothing runs any more; `false` when there is something to wait
    /// for.
    fn all_stopped(&mut self) -> bool {
        let Some(operation) = &mut self.operation else {
            return false;
        };
        let from = operation.from;
        match &operation.then {
            Then::End { reason, .. } => {
                self.outcome = Some(reason.clone());
                false
            }
            Then::StartAt(at) => {
                operation.step = Step::Waiting(self.timers.arm(*at, Timer::Group));
                // OTP's meaning: all of the group start again, those too that had ended normally.
                for key in self.keys_from(from).collect::<Vec<_>>() {
                    if let Some(child) = self.children.get_mut(&key) {
                        self.timers.cancel(child.timer.take());
                        child.phase = Phase::Down;
                        child
                            .node
                            .set_state(NodeState::Restarting, self.kernel.bus.now());
                    }
                }
                true
            }
        }
    }

    /// Starts the first of the group that is down; `false` when all are up.
    fn start_next(&mut self, from: ChildKey) -> bool {
        for key in self.keys_from(from).collect::<Vec<_>>() {
            match self.children.get(&key).map(|child| &child.phase) {
                Some(Phase::Down) => {
                    self.start(key);
                    return true;
                }
                Some(Phase::Starting) => return true,
                _ => {}
            }
        }
        false
    }
}
