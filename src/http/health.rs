//! `/live`, `/ready`, `/health` and `/metrics`.

use std::time::Duration;

use actix_web::{HttpResponse, http::header, web};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    app::Door,
    problem::{Problem, ProblemKind},
};

/// Probes give up after a few seconds themselves.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process answers. Says nothing of rooms: a restart would not help them.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// Sessions can be opened: 200, or 503 with what is missing.
pub(super) async fn ready(door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    let checks = checks(&door).await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready", "checks": checks })))
}

/// The same for people: with version, uptime and the languages there are.
pub(super) async fn health(door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    let checks = checks(&door).await?;
    Ok(HttpResponse::Ok().json(json!({
        "status": "healthy",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": door.started.elapsed().as_secs(),
        "language_pairs": door.backend.pairs(),
        "checks": checks,
    })))
}

async fn checks(door: &Door) -> Result<Value, Problem> {
    door.open()?;
    let asked = timeout(PATIENCE, door.backend.ready()).await;
    let readiness = asked.map_err(|_| {
        ProblemKind::Overloaded
            .because("the service does not answer")
            .retry_after(2)
    })?;
    let checks = json!(readiness.checks);
    if readiness.ready {
        return Ok(checks);
    }
    let missing: Vec<&str> = readiness
        .checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| check.name.as_str())
        .collect();
    let problem = ProblemKind::NotReady.because(format!("not ready: {}", missing.join(", ")));
    Err(problem.with("checks", checks).retry_after(2))
}

/// Prometheus's text format.
pub(super) async fn metrics(door: web::Data<Door>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ))
        .body(door.metrics.render())
}
