//! Who may not join, in HTTP's terms. Clients act upon the status: 401 and 403 are final, 404 makes
//! them try the older protocol unless its text says that it is the room that does not exist.

use hive_actors::livekit::JoinError;

use crate::http::{
    problem::{Problem, ProblemKind},
    signalling::refusal,
};

/// The words by which LiveKit's JavaScript SDK tells a missing room from a missing address.
const NO_SUCH_ROOM: &str = "requested room does not exist";

pub(super) fn of_join(error: &JoinError) -> Problem {
    match error {
        JoinError::Session(error) => refusal::of_session(error),
        JoinError::NoSuchRoom(_) => {
            ProblemKind::NotFound.because(format!("{NO_SUCH_ROOM}: {error}"))
        }
        JoinError::TooLong { .. } => ProblemKind::BadRequest.because(error),
    }
}
