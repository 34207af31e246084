//! `GET /rtc/validate` and `GET /rtc/v1/validate`: browsers hide from scripts why a WebSocket was
//! refused, so clients ask here, with the same query.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use hive_actors::livekit::Topology;

use super::{
    connect::checked,
    query::{Asked, Query},
    refusal,
};
use crate::http::{app::Door, problem::Problem};

/// 200 if the client could connect now, or else what [`super::connect::open`] would answer.
pub(super) async fn validate(
    topology: web::Data<Topology>,
    door: web::Data<Door>,
    query: web::Query<Query>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (asked, _) = checked(&door, **topology, &query, &request)?;
    door.open()?;
    if let Asked::Join(join) = &asked {
        door.backend
            .may_join(join)
            .map_err(|error| refusal::of_join(&error))?;
    }
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body("success"))
}
