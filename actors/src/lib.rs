//! HIVE's supervision kernel, rooms, participants, pipeline stages and devices.
//!
//! [`Service`] is the front door: what HTTP and WebSocket handlers may ask of rooms. Behind it every
//! room, participant, pipeline stage, language channel and device is an actor under the
//! [`supervision`] kernel. What must outlive an actor (a speaker's logs, a room's state, a channel's
//! mix, the device's queues) is kept outside it, and every actor's work is to bring something up to
//! date with that; so each of them can be killed at any instant and nothing is lost, doubled or
//! changed.

mod channel;
mod device;
mod engines;
pub mod events;
mod hall;
pub mod livekit;
mod media;
mod observer;
mod participant;
mod pipeline;
mod room;
mod service;
pub mod settings;
pub mod supervision;
mod telemetry;

pub use hive_media::sdp::offer::MAX_OFFER;
pub use hive_media::{AcceptError, FragmentError, OfferError};
pub use service::{
    Check, EventSubscription, IceRestart, KillError, LinkFigures, ListenRequest,
    ParseSessionIdError, PublishRequest, Readiness, RoomFigures, Service, ServiceStats, Session,
    SessionError, SessionId, SessionInfo, SessionKind, ShutdownError, StartServiceError,
    SubscribeError, TrickleError, Wants,
};
pub use settings::ServiceSettings;
