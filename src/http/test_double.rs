//! A service made of a table, for tests of what HTTP says and does.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream};
use hive_actors::{
    Check, IceRestart, KillError, ListenRequest, PublishRequest, Readiness, Session, SessionError,
    SessionId, SessionInfo, SessionKind, SubscribeError, TrickleError, Wants,
    events::schema::{ErrorNotice, EventBody, RoomEvent},
    livekit::{JoinError, JoinRequest, ResumeError, ResumeRequest},
};
use hive_models::{Lang, LangPair};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::backend::{Backend, EventFeed};
use crate::livekit::{SignalConnection, test_double::SignalLog};

/// Rooms that do nothing; what to answer is in the room's name, so that a test reads as what it tests.
#[derive(Clone, Default)]
pub(crate) struct TableOfSessions {
    pub(crate) sessions: Arc<Mutex<HashMap<SessionId, SessionInfo>>>,
    pub(crate) broken: Arc<AtomicBool>,
    /// Told when a subscription to events ends.
    pub(crate) feed_ended: Arc<Notify>,
    /// What LiveKit clients did.
    pub(crate) signals: SignalLog,
    /// What the room service was asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

/// Tells that it was dropped.
struct DropNotice(Arc<Notify>);

impl Drop for DropNotice {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn event() -> RoomEvent {
    let message = "x".repeat(1000);
    let body = EventBody::Error(ErrorNotice {
        code: "flood",
        message,
        missed: None,
    });
    RoomEvent {
        v: 1,
        room: "flood".into(),
        seq: 1,
        at_ms: 0.0,
        body,
    }
}

impl TableOfSessions {
    fn open(
        &self,
        kind: SessionKind,
        room: String,
        identity: String,
    ) -> Result<Session, SessionError> {
        match room.as_str() {
            "full" => return Err(SessionError::RoomFull { max: 1 }),
            "restarting" => return Err(SessionError::RoomRestarted),
            _ => {}
        }
        let id = SessionId::random();
        let etag = "\"first\"".to_owned();
        self.sessions.lock().insert(
            id,
            SessionInfo {
                room,
                identity,
                kind,
                etag: etag.clone(),
            },
        );
        Ok(Session {
            id,
            answer: "v=0\r\n".to_owned(),
            etag,
        })
    }
}

fn supported(lang: Option<Lang>) -> Result<(), SessionError> {
    match lang {
        Some(asked) if asked != Lang::ES && asked != Lang::EN => {
            Err(SessionError::UnsupportedLanguage {
                asked,
                available: vec![LangPair::new(Lang::EN, Lang::ES)],
            })
        }
        _ => Ok(()),
    }
}

impl Backend for TableOfSessions {
    fn publish(
        &self,
        request: PublishRequest,
    ) -> LocalBoxFuture<'_, Result<Session, SessionError>> {
        async move {
            if request.room == "stuck" {
                std::future::pending::<()>().await;
            }
            self.open(SessionKind::Publish, request.room, request.identity)
        }
        .boxed_local()
    }

    fn listen(&self, request: ListenRequest) -> LocalBoxFuture<'_, Result<Session, SessionError>> {
        async move {
            supported(request.lang)?;
            self.open(SessionKind::Listen, request.room, request.identity)
        }
        .boxed_local()
    }

    fn session(&self, id: SessionId) -> Option<SessionInfo> {
        self.sessions.lock().get(&id).cloned()
    }

    fn trickle(
        &self,
        id: SessionId,
        fragment: String,
    ) -> LocalBoxFuture<'_, Result<Option<IceRestart>, TrickleError>> {
        async move {
            let mut sessions = self.sessions.lock();
            let session = sessions.get_mut(&id).ok_or(TrickleError::UnknownSession)?;
            if !fragment.contains("new-ufrag") {
                return Ok(None);
            }
            session.etag = "\"second\"".to_owned();
            Ok(Some(IceRestart {
                fragment: "a=ice-ufrag:s\r\n".to_owned(),
                etag: session.etag.clone(),
            }))
        }
        .boxed_local()
    }

    fn close(&self, id: SessionId) -> bool {
        self.sessions.lock().remove(&id).is_some()
    }

    fn subscribe(
        &self,
        room: String,
        _: Wants,
    ) -> LocalBoxFuture<'_, Result<EventFeed, SubscribeError>> {
        let told = DropNotice(self.feed_ended.clone());
        async move {
            let events = match room.as_str() {
                "flood" => stream::repeat(Arc::new(event())).left_stream(),
                _ => stream::pending().right_stream(),
            };
            let feed = events.map(move |event| {
                let _held = &told;
                event
            });
            Ok(feed.boxed_local() as EventFeed)
        }
        .boxed_local()
    }

    fn pairs(&self) -> Vec<LangPair> {
        vec![LangPair::new(Lang::EN, Lang::ES)]
    }

    fn supervision(&self) -> serde_json::Result<Value> {
        Ok(json!({ "id": "hive" }))
    }

    fn kill(&self, path: &str) -> Result<(), KillError> {
        let path = path.to_owned();
        match path.as_str() {
            "hive/room" => Ok(()),
            "hive/restarting" => Err(KillError::NotRunning { path }),
            _ => Err(KillError::UnknownPath { path }),
        }
    }

    fn join(
        &self,
        request: JoinRequest,
    ) -> LocalBoxFuture<'_, Result<SignalConnection, JoinError>> {
        async move {
            self.may_join(&request)?;
            Ok(self.signals.join(request))
        }
        .boxed_local()
    }

    fn resume(
        &self,
        request: ResumeRequest,
    ) -> LocalBoxFuture<'_, Result<SignalConnection, ResumeError>> {
        async move { self.signals.resume(request) }.boxed_local()
    }

    fn may_join(&self, request: &JoinRequest) -> Result<(), JoinError> {
        match request.room.as_str() {
            "missing" => Err(JoinError::NoSuchRoom(request.room.clone())),
            "full" => Err(JoinError::Session(SessionError::RoomFull { max: 1 })),
            _ => Ok(()),
        }
    }

    fn ready(&self) -> LocalBoxFuture<'_, Readiness> {
        let ready = !self.broken.load(Ordering::Relaxed);
        async move {
            Readiness {
                ready,
                checks: vec![Check {
                    name: "stt:en".to_owned(),
                    ok: ready,
                }],
            }
        }
        .boxed_local()
    }
}
