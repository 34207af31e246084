//! The front door: everything that HTTP and WebSocket handlers may ask of rooms.

mod build;
mod doors;
mod error;
mod figures;
mod session;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use hive_models::{Lang, LangPair};
use serde::Serialize;

#[cfg(test)]
pub(crate) use build::engines;
pub(crate) use doors::check_names;
pub use error::{
    KillError, SessionError, ShutdownError, StartServiceError, SubscribeError, TrickleError,
};
pub use figures::{LinkFigures, RoomFigures};
pub use session::{
    IceRestart, ListenRequest, ParseSessionIdError, PublishRequest, Session, SessionId,
    SessionInfo, SessionKind,
};
pub use subscription::{EventSubscription, Wants};

use crate::hall::Hall;
use crate::livekit::proto::DisconnectReason;
use crate::settings::ServiceSettings;
use crate::supervision::{self, ChildPath, SupervisorHandle, Tree};

/// Longest name of a room, an identity or a participant, in bytes.
const MAX_NAME: usize = 256;

/// The running service. Clones are the same service; methods may be called on any thread with a
/// tokio runtime.
#[derive(Clone)]
pub struct Service {
    pub(crate) hall: Arc<Hall>,
    root: SupervisorHandle,
}

/// Whether the service can do its work, and what it still lacks.
#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    /// Whether every check is fine.
    pub ready: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// One condition of readiness.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// Whether it is fine.
    pub ok: bool,
}

/// Figures at a moment.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ServiceStats {
    /// Rooms.
    pub rooms: usize,
    /// Participants of all rooms.
    pub participants: usize,
}

impl Service {
    /// Loads the engines, starts the media workers and the tree of actors. Has to be called inside an
    /// actix system, whose thread becomes the supervisors'; takes about a second.
    ///
    /// # Errors
    /// When a port is taken or an engine is missing; the message says what to do.
    pub async fn start(settings: ServiceSettings) -> Result<Service, StartServiceError> {
        build::start(settings).await
    }

    pub(crate) fn new(hall: Arc<Hall>, root: SupervisorHandle) -> Self {
        Service { hall, root }
    }

    /// What is known of a session, while it is open.
    pub fn session(&self, session: &SessionId) -> Option<SessionInfo> {
        self.hall.info(session)
    }

    /// Ends a session. Gives whether it was open.
    pub fn close(&self, session: &SessionId) -> bool {
        self.hall.end(session, DisconnectReason::ClientInitiated)
    }

    /// Subscribes to a room's events; the room is made if it does not exist.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub async fn subscribe(
        &self,
        room: &str,
        wants: Wants,
    ) -> Result<EventSubscription, SubscribeError> {
        check_name("room", room)?;
        let room = self.hall.room(room).await?;
        EventSubscription::new(room, wants).ok_or(SubscribeError::Room(SessionError::RoomRestarted))
    }

    /// The directions in which a room can be interpreted.
    pub fn pairs(&self) -> Vec<LangPair> {
        self.hall.engines.pairs()
    }

    /// The languages that are recognised.
    pub fn recognised(&self) -> Vec<Lang> {
        self.hall.engines.recognisers.keys().copied().collect()
    }

    /// The addresses of the media workers' sockets.
    pub fn media_addresses(&self) -> Vec<std::net::SocketAddr> {
        self.hall
            .workers
            .iter()
            .map(hive_media::MediaWorker::local_addr)
            .collect()
    }

    /// Where clients are told that each of them is, in the same order.
    pub fn media_candidates(&self) -> Vec<Vec<std::net::SocketAddr>> {
        self.hall
            .workers
            .iter()
            .map(|worker| worker.candidates().to_vec())
            .collect()
    }

    /// The tree of actors as it stands.
    pub fn supervision(&self) -> Tree {
        self.root.whole_tree()
    }

    /// Kills the actor at a path, as a panic would.
    ///
    /// # Errors
    /// See [`KillError`].
    pub fn kill(&self, path: &str) -> Result<(), KillError> {
        if !self.hall.settings.chaos {
            return Err(KillError::Disabled);
        }
        self.root
            .kill(&ChildPath::parse(path))
            .map_err(|error| match error {
                supervision::KillError::Unknown(path) => KillError::UnknownPath {
                    path: path.to_string(),
                },
                supervision::KillError::NotRunning(path) => KillError::NotRunning {
                    path: path.to_string(),
                },
            })
    }

    /// Rooms and participants at this moment.
    pub fn stats(&self) -> ServiceStats {
        let rooms = self.hall.rooms();
        let participants = rooms
            .iter()
            .map(|room| room.state.lock().present().count())
            .sum();
        ServiceStats {
            rooms: rooms.len(),
            participants,
        }
    }

    /// Whether decoders are loaded and media workers run.
    pub async fn ready(&self) -> Readiness {
        let mut checks = vec![Check {
            name: "tree".into(),
            ok: self.root.ready().await.is_ok(),
        }];
        for (lang, engine) in &self.hall.engines.recognisers {
            checks.push(Check {
                name: format!("stt:{lang}"),
                ok: engine.is_ready(),
            });
        }
        checks.push(Check {
            name: "mt".into(),
            ok: !self.hall.engines.translate.pairs().is_empty(),
        });
        checks.push(Check {
            name: "tts".into(),
            ok: !self.hall.engines.voices.languages().is_empty(),
        });
        for (index, worker) in self.hall.workers.iter().enumerate() {
            checks.push(Check {
                name: format!("media:{index}"),
                ok: worker.is_running(),
            });
        }
        Readiness {
            ready: checks.iter().all(|check| check.ok),
            checks,
        }
    }

    /// Takes nobody in any more, stops the actors in reverse order and says goodbye to all peers.
    ///
    /// # Errors
    /// [`ShutdownError`] if the actors took longer than `deadline`; the media workers are stopped
    /// all the same.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), ShutdownError> {
        self.hall.close_doors();
        let stopped = tokio::time::timeout(deadline, self.root.shutdown()).await;
        for worker in &self.hall.workers {
            worker.shutdown();
        }
        stopped.map_err(|_| ShutdownError { after: deadline })
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({:?})", self.root)
    }
}

pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), SessionError> {
    let good = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
    good.then_some(()).ok_or(SessionError::InvalidName {
        what,
        max: MAX_NAME,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_logs_are_refused() {
        for name in ["", "a\nb", &"x".repeat(MAX_NAME + 1)] {
            assert!(check_name("room", name).is_err(), "{name:?}");
        }
        for name in ["Sala de juntas №1", "Ann / Sales", &"x".repeat(MAX_NAME)] {
            assert!(check_name("name", name).is_ok(), "{name:?}");
        }
    }
}
