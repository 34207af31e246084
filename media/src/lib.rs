//! HIVE's media plane: RTP in, RTP out.
//!
//! Problems it solves:
//! - **Forwarding that nothing above it can disturb**: a [`MediaWorker`] is one thread with one UDP
//!   socket. Actors talk to it by commands and hear from it by [`MediaEvent`]s; none is waited for.
//! - **Transport**: an ICE-lite responder ([`stun`]), DTLS-SRTP as the server, and SRTP in place
//!   ([`srtp`]).
//! - **What an SFU does to RTP** ([`rtp`]): one rewrite per subscriber that hides which track is
//!   behind a stream, NACK both ways, reports both ways, active speakers.
//! - **Tests in virtual time**: everything below the socket loop is the sans-IO [`engine`].
//!
//! It knows neither actors nor models.

pub mod audio;
mod bwe;
mod certificate;
mod clock;
mod dtls;
pub mod engine;
pub mod fuzzing;
mod ids;
mod net;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod srtp;
pub mod stun;
#[cfg(test)]
mod testing;
mod worker;

pub use certificate::{Certificate, GenerateCertificateError};
pub use clock::{Now, round_trip};
pub use dtls::DtlsFailure;
pub use engine::{
    AcceptError, AcceptPeer, Accepted, CloseReason, IceRestartAnswer, MediaEvent, PeerStats, Role,
    Subscription, TapFn, Totals, TrickleError, WorkerStats,
};
pub use ids::{PeerId, RoomId, TrackId};
pub use sdp::fragment::{FragmentError, TrickleFragment};
pub use sdp::offer::OfferError;
pub use worker::{MediaWorker, SourceWriter, StartWorkerError, WorkerConfig};
