//! What the service refuses, in HTTP's terms.

use hive_actors::{AcceptError, FragmentError, OfferError, SessionError, TrickleError};
use serde_json::json;

use crate::http::problem::{Problem, ProblemKind};

/// A session that was not opened, or a room that could not be watched.
pub(crate) fn of_session(error: &SessionError) -> Problem {
    match error {
        SessionError::UnsupportedLanguage { asked, available } => {
            let pairs: Vec<_> = available
                .iter()
                .map(|pair| json!({ "from": pair.from, "to": pair.to }))
                .collect();
            ProblemKind::UnsupportedLanguage
                .because(error)
                .with("asked", asked.as_str())
                .with("available", pairs)
        }
        SessionError::Offer(error) => of_accepting(error),
        SessionError::NoTrack => ProblemKind::UnusableOffer.because(error),
        SessionError::InvalidName { .. } => ProblemKind::BadRequest.because(error),
        SessionError::ReservedIdentity(_) => ProblemKind::Conflict.because(error),
        SessionError::TooManyRooms { .. } | SessionError::RoomFull { .. } => {
            ProblemKind::AtCapacity.because(error).retry_after(30)
        }
        SessionError::RoomRestarted => ProblemKind::NotReady.because(error).retry_after(1),
        SessionError::ShuttingDown => ProblemKind::NotReady.because(error).retry_after(5),
    }
}

fn of_accepting(error: &AcceptError) -> Problem {
    match error {
        AcceptError::Offer(offer) => of_offer(offer),
        AcceptError::TooManyPeers(_) => ProblemKind::AtCapacity.because(error).retry_after(30),
        AcceptError::PeerExists(_) => ProblemKind::Conflict.because(error),
        // The room or the worker is between two lives.
        AcceptError::UnknownPeer(_) | AcceptError::UnknownTrack(_) | AcceptError::WorkerStopped => {
            ProblemKind::NotReady.because(error).retry_after(1)
        }
    }
}

fn of_offer(error: &OfferError) -> Problem {
    let kind = match error {
        OfferError::TooLarge => ProblemKind::PayloadTooLarge,
        OfferError::Garbage(_) => ProblemKind::InvalidOffer,
        OfferError::NoOpus => ProblemKind::UnsupportedCodec,
        OfferError::NoAudio
        | OfferError::NoFingerprint
        | OfferError::NoIceCredentials
        | OfferError::IceLite
        | OfferError::SetupPassive
        | OfferError::NoBundle
        | OfferError::NoRtcpMux
        | OfferError::WrongDirection { .. } => ProblemKind::UnusableOffer,
    };
    kind.because(error)
}

/// A fragment that was not applied.
pub(crate) fn of_fragment(error: &TrickleError) -> Problem {
    match error {
        TrickleError::UnknownSession => ProblemKind::UnknownSession.because(error),
        TrickleError::Fragment(FragmentError::TooLarge) => {
            ProblemKind::PayloadTooLarge.because(error)
        }
        TrickleError::Fragment(_) => ProblemKind::InvalidFragment.because(error),
        // The peer's end has not been noticed everywhere yet.
        TrickleError::Worker(_) => ProblemKind::UnknownSession.because(error),
    }
}
