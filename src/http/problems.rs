//! `/problems/{slug}`: what a problem's `type` leads to.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::problem::{Problem, ProblemKind};

fn explain(kind: &ProblemKind) -> Value {
    json!({
        "type": format!("/problems/{}", kind.slug()),
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "advice": kind.advice(),
    })
}

pub(super) async fn all() -> HttpResponse {
    HttpResponse::Ok().json(ProblemKind::ALL.iter().map(explain).collect::<Vec<_>>())
}

pub(super) async fn one(slug: web::Path<String>) -> Result<HttpResponse, Problem> {
    ProblemKind::ALL
        .iter()
        .find(|kind| kind.slug() == slug.as_str())
        .map(|kind| HttpResponse::Ok().json(explain(kind)))
        .ok_or_else(|| {
            ProblemKind::NotFound.because("there is no problem of this name; see /problems")
        })
}
