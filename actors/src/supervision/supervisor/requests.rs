//! What others ask of a supervisor.

use std::sync::Arc;

use super::super::exit::ExitReason;
use super::super::handle::{ChildError, StartChildError};
use super::super::path::ChildPath;
use super::super::spec::ChildSpec;
use super::child::{After, ChildReply, Phase, StartReply};
use super::{ChildKey, Command, Supervisor};

impl Supervisor {
    /// Does what is asked, or keeps it until the group operation that is under way is over.
    pub(super) fn on_request(&mut self, request: Command) {
        if self.is_exiting() || self.outcome.is_some() {
            // Dropping the reply says that the supervisor is going down.
            return;
        }
        if self.operation.is_some() {
            self.deferred.push_back(request);
            return;
        }
        match request {
            Command::StartChild { spec, reply } => self.add(*spec, reply),
            Command::TerminateChild { id, reply } => self.terminate(&id, reply),
            Command::RestartChild { id, reason, reply } => self.restart(&id, reason, reply),
            // Reports never come here.
            _ => {}
        }
    }

    fn add(&mut self, spec: ChildSpec, reply: StartReply) {
        if self.keys.contains_key(&spec.id) {
            let path = self.path_of(&spec.id);
            let _ = reply.send(Err(StartChildError::AlreadyPresent(path)));
            return;
        }
        let key = self.adopt(spec, true);
        if let Some(child) = self.children.get_mut(&key) {
            child.start_reply = Some(reply);
        }
        self.start(key);
    }

    fn terminate(&mut self, id: &Arc<str>, reply: ChildReply) {
        let Some(key) = self.known(id) else {
            let _ = reply.send(Err(ChildError::Unknown(self.path_of(id))));
            return;
        };
        let running = self.children.get_mut(&key).is_some_and(|child| {
            child.stop_replies.push(reply);
            if child.link.is_none() {
                self.timers.cancel(child.timer.take());
            }
            child.link.is_some()
        });
        if running {
            self.stop(key, After::Rest, false);
        } else {
            self.rest(key, Phase::Done);
        }
    }

    fn restart(&mut self, id: &Arc<str>, reason: String, reply: ChildReply) {
        let Some(key) = self.known(id) else {
            let _ = reply.send(Err(ChildError::Unknown(self.path_of(id))));
            return;
        };
        let _ = reply.send(Ok(()));
        let (running, stopping) = self.children.get(&key).map_or((false, false), |child| {
            (
                child.link.is_some(),
                matches!(child.phase, Phase::Stopping(After::Rest)),
            )
        });
        if stopping {
            // Somebody is waiting for it to be gone.
        } else if running {
            self.stop(key, After::Restart(reason), false);
        } else {
            if let Some(child) = self.children.get_mut(&key) {
                self.timers.cancel(child.timer.take());
            }
            self.failed(key, ExitReason::Requested(reason));
        }
    }

    fn known(&self, id: &Arc<str>) -> Option<ChildKey> {
        self.keys.get(id).copied()
    }

    fn path_of(&self, id: &str) -> ChildPath {
        self.node.path().join(id)
    }
}
