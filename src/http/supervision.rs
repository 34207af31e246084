//! `/supervision`: the tree, and shots at it. For holders of a service key only: behind a proxy on the same
//! machine every client looks local, so the address proves nothing.

use actix_web::{HttpRequest, HttpResponse, web};
use hive_actors::KillError;
use serde::Deserialize;

use super::{
    app::Door,
    bearer,
    problem::{Problem, ProblemKind},
};

/// The tree as JSON.
pub(super) async fn tree(
    door: web::Data<Door>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    bearer::service(&door, &request)?;
    let tree = door.backend.supervision().map_err(|error| {
        tracing::error!(%error, "the supervision tree could not be written as JSON");
        Problem::from(ProblemKind::Internal)
    })?;
    Ok(HttpResponse::Ok().json(tree))
}

/// The body of `POST /supervision/kill`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kill {
    /// Path of a child, as in the tree.
    path: String,
}

/// Ends one actor as a panic would.
pub(super) async fn kill(
    door: web::Data<Door>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    bearer::service(&door, &request)?;
    if !door.chaos {
        return Err(ProblemKind::ChaosDisabled.into());
    }
    let Kill { path } = door.json(&request, payload).await?;
    match door.backend.kill(&path) {
        Ok(()) => {
            tracing::warn!(path, "an actor was killed by request");
            Ok(HttpResponse::NoContent().finish())
        }
        Err(error @ KillError::UnknownPath { .. }) => Err(ProblemKind::UnknownPath.because(error)),
        Err(error @ KillError::NotRunning { .. }) => Err(ProblemKind::Conflict.because(error)),
        Err(error @ KillError::Disabled) => Err(ProblemKind::ChaosDisabled.because(error)),
    }
}
