//! What every request passes: the rate limit, the answer's last form, and the count.

use std::time::Instant;

use actix_web::{
    Error, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    web,
};

use super::{
    app::Door,
    bearer,
    client::client_address,
    cors::CrossOrigin,
    problem::{OwnWords, PROBLEM_JSON, Problem, ProblemKind},
    rate::Allowance,
};
use crate::livekit::twirp::{TwirpError, is_twirp};

/// Addresses that probes and scrapers call, on schedule.
const UNLIMITED: [&str; 4] = ["/live", "/ready", "/health", "/metrics"];

/// The middleware around everything.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let door = request
        .app_data::<web::Data<Door>>()
        .cloned()
        .expect("the app is built with its door");
    let cross_origin = CrossOrigin::of(request.method(), request.headers());
    let method = request.method().clone();
    let mut response = match limit(&door, &request) {
        Err(problem) if is_twirp(request.path()) => {
            request.into_response(TwirpError::from(problem).error_response())
        }
        Err(problem) => request.into_response(problem.error_response()),
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
    };
    if is_foreign_error(&response) {
        let kind = ProblemKind::of_status(response.status());
        let status = response.status();
        let mut replacement = Problem::from(kind).error_response();
        *replacement.status_mut() = status;
        response = response.into_response(replacement);
    }
    let status = response.status();
    cross_origin.answer(&door.http.cors, status, response.headers_mut());
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".to_owned());
    count(&route, method.as_str(), status, started);
    Ok(response)
}

/// An error that actix-web wrote, in words of its own.
fn is_foreign_error(response: &ServiceResponse<BoxBody>) -> bool {
    let status = response.status();
    if response.response().extensions().contains::<OwnWords>() {
        return false;
    }
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes() == PROBLEM_JSON.as_bytes());
    (status.is_client_error() || status.is_server_error()) && !is_problem
}

fn limit(door: &Door, request: &ServiceRequest) -> Result<(), Problem> {
    if UNLIMITED.contains(&request.path()) {
        return Ok(());
    }
    // A backend works for many people from one address; its key is what it is known by.
    if is_twirp(request.path())
        && let Ok(claims) = bearer::verify(door, bearer::bearer(request.request()))
    {
        let allowance = door.key_limiter.lock().ask(claims.iss, Instant::now());
        return let_pass(
            allowance,
            "too many calls with this API key (http.room_service)",
        );
    }
    let Some(client) = client_address(request.request(), &door.http.trusted_proxies) else {
        return Ok(());
    };
    let allowance = door.limiter.lock().ask(client, Instant::now());
    let_pass(allowance, "too many requests from this address (http.rate)")
}

fn let_pass(allowance: Allowance, reason: &str) -> Result<(), Problem> {
    match allowance {
        Allowance::Yes => Ok(()),
        Allowance::In(wait) => {
            metrics::counter!("hive_http_rate_limited_total").increment(1);
            let problem = ProblemKind::RateLimited.because(reason);
            Err(problem.retry_after(wait.as_secs_f64().ceil() as u64))
        }
    }
}

fn count(route: &str, method: &str, status: StatusCode, started: Instant) {
    // Methods are the client's invention; only the known ones may become label values.
    let method = match method {
        "GET" | "HEAD" | "POST" | "PATCH" | "DELETE" | "OPTIONS" | "PUT" => method.to_owned(),
        _ => "other".to_owned(),
    };
    metrics::counter!(
        "hive_http_requests_total",
        "route" => route.to_owned(), "method" => method, "status" => status.as_u16().to_string()
    )
    .increment(1);
    metrics::histogram!("hive_http_request_seconds", "route" => route.to_owned())
        .record(started.elapsed());
}
