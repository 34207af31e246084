//! The front door for clients made with LiveKit's SDKs: their signalling over a WebSocket, and the
//! addresses at which they ask why they were not let in; the room service that applications' servers
//! call, and the webhooks by which they are called.
//!
//! A connection is three things that end together. The `session` is the actor of its WebSocket. It
//! gives what the client asks for to `attend`, which has it done by the room in order, one after the
//! other. What the room tells comes through `outgoing`, which also watches over clients that do not
//! read or fell silent. All queues between them have bounds.

mod assembly;
mod attend;
mod client;
mod connect;
mod frame_guard;
mod fresh_tokens;
pub mod fuzzing;
mod grants;
mod greeting;
mod join_request;
mod kind;
mod outgoing;
mod query;
mod refusal;
mod request;
mod session;
#[cfg(test)]
pub(crate) mod test_double;
#[cfg(test)]
mod tests;
pub mod twirp;
mod validate;
mod verdict;
pub mod webhook;

use actix_web::web;
use hive_actors::livekit::{Topology, proto};

pub(crate) use client::boxed;
pub use client::{SignalClient, SignalConnection, SignalOutbox};
pub use join_request::{DecodeJoinError, MAX_JOIN_REQUEST, decode_join_request};
pub use request::{DecodeRequestError, decode_request};

use crate::http::app::only;

/// The addresses of LiveKit's signalling.
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    for (address, topology) in [
        ("/rtc", Topology::PublisherAndSubscriber),
        ("/rtc/v1", Topology::Single),
    ] {
        app.service(only(
            web::resource(address)
                .app_data(web::Data::new(topology))
                .route(web::get().to(connect::open)),
            "GET, OPTIONS",
        ))
        .service(only(
            web::resource(format!("{address}/validate"))
                .app_data(web::Data::new(topology))
                .route(web::get().to(validate::validate)),
            "GET, OPTIONS",
        ));
    }
}
