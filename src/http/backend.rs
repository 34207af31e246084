//! What the front door asks of the service, and nothing more, so that its answers can be tested without media.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, future::LocalBoxFuture};
use hive_actors::{
    IceRestart, KillError, ListenRequest, PublishRequest, Readiness, Service, Session,
    SessionError, SessionId, SessionInfo, SubscribeError, TrickleError, Wants,
    events::schema::RoomEvent,
    livekit::{JoinError, JoinRequest, ResumeError, ResumeRequest},
};
use hive_models::LangPair;
use serde_json::Value;

use super::stats::Figures;
use crate::livekit::{SignalConnection, boxed, twirp::RoomService};

/// A room's events, in order.
pub type EventFeed = Pin<Box<dyn Stream<Item = Arc<RoomEvent>>>>;

/// The rooms behind the front door. [`Service`] is one; its methods of the same names say what they do.
pub trait Backend: RoomService + Figures + Send + Sync + 'static {
    /// See [`Service::publish`].
    fn publish(&self, request: PublishRequest)
    -> LocalBoxFuture<'_, Result<Session, SessionError>>;
    /// See [`Service::listen`].
    fn listen(&self, request: ListenRequest) -> LocalBoxFuture<'_, Result<Session, SessionError>>;
    /// See [`Service::session`].
    fn session(&self, id: SessionId) -> Option<SessionInfo>;
    /// See [`Service::trickle`].
    fn trickle(
        &self,
        id: SessionId,
        fragment: String,
    ) -> LocalBoxFuture<'_, Result<Option<IceRestart>, TrickleError>>;
    /// See [`Service::close`].
    fn close(&self, id: SessionId) -> bool;
    /// See [`Service::subscribe`].
    fn subscribe(
        &self,
        room: String,
        wants: Wants,
    ) -> LocalBoxFuture<'_, Result<EventFeed, SubscribeError>>;
    /// See [`Service::pairs`].
    fn pairs(&self) -> Vec<LangPair>;
    /// [`Service::supervision`] as JSON.
    fn supervision(&self) -> serde_json::Result<Value>;
    /// See [`Service::kill`].
    fn kill(&self, path: &str) -> Result<(), KillError>;
    /// See [`Service::join`].
    fn join(&self, request: JoinRequest)
    -> LocalBoxFuture<'_, Result<SignalConnection, JoinError>>;
    /// See [`Service::resume`].
    fn resume(
        &self,
        request: ResumeRequest,
    ) -> LocalBoxFuture<'_, Result<SignalConnection, ResumeError>>;
    /// Whether [`Backend::join`] would let this client in now, without doing so.
    fn may_join(&self, request: &JoinRequest) -> Result<(), JoinError>;
    /// See [`Service::ready`].
    fn ready(&self) -> LocalBoxFuture<'_, Readiness>;
}

impl Backend for Service {
    fn publish(
        &self,
        request: PublishRequest,
    ) -> LocalBoxFuture<'_, Result<Session, SessionError>> {
        Box::pin(Service::publish(self, request))
    }

    fn listen(&self, request: ListenRequest) -> LocalBoxFuture<'_, Result<Session, SessionError>> {
        Box::pin(Service::listen(self, request))
    }

    fn session(&self, id: SessionId) -> Option<SessionInfo> {
        Service::session(self, &id)
    }

    fn trickle(
        &self,
        id: SessionId,
        fragment: String,
    ) -> LocalBoxFuture<'_, Result<Option<IceRestart>, TrickleError>> {
        Box::pin(async move { Service::trickle(self, &id, &fragment).await })
    }

    fn close(&self, id: SessionId) -> bool {
        Service::close(self, &id)
    }

    fn subscribe(
        &self,
        room: String,
        wants: Wants,
    ) -> LocalBoxFuture<'_, Result<EventFeed, SubscribeError>> {
        Box::pin(async move {
            let events = Service::subscribe(self, &room, wants).await?;
            Ok(Box::pin(events) as EventFeed)
        })
    }

    fn pairs(&self) -> Vec<LangPair> {
        Service::pairs(self)
    }

    fn supervision(&self) -> serde_json::Result<Value> {
        serde_json::to_value(Service::supervision(self))
    }

    fn kill(&self, path: &str) -> Result<(), KillError> {
        Service::kill(self, path)
    }

    fn join(
        &self,
        request: JoinRequest,
    ) -> LocalBoxFuture<'_, Result<SignalConnection, JoinError>> {
        Box::pin(async move { Service::join(self, request).await.map(boxed) })
    }

    fn resume(
        &self,
        request: ResumeRequest,
    ) -> LocalBoxFuture<'_, Result<SignalConnection, ResumeError>> {
        Box::pin(async move { Service::resume(self, request).await.map(boxed) })
    }

    fn may_join(&self, request: &JoinRequest) -> Result<(), JoinError> {
        Service::may_join(self, request)
    }

    fn ready(&self) -> LocalBoxFuture<'_, Readiness> {
        Box::pin(Service::ready(self))
    }
}
