//! LiveKit's room service over Twirp, which is what LiveKit's server libraries speak:
//! `POST /twirp/livekit.RoomService/{Method}` with a protobuf message, or its JSON, in and out.
//!
//! The wire format is Twirp's version 7 (<https://twitchtv.github.io/twirp/docs/spec_v7.html>). Which grant a
//! method needs is LiveKit's (`pkg/service/roomservice.go`).

mod answers;
mod backend;
mod encoding;
mod error;
mod grant;
mod handler;
mod methods;
mod shape;
#[cfg(test)]
pub(crate) mod test_double;
#[cfg(test)]
mod tests;

use actix_web::web;

pub use backend::RoomService;
pub(crate) use error::TwirpError;

/// What the addresses of Twirp begin with.
const PREFIX: &str = "/twirp/";

/// Whether errors at this address have to be Twirp's.
pub(crate) fn is_twirp(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// The addresses of the room service, and of everything else that a LiveKit server may be asked for.
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::resource("/twirp/{service}/{method}").default_service(web::to(handler::answer)),
    )
    .service(web::resource("/twirp/{path:.*}").default_service(web::to(handler::bad_route)));
}
