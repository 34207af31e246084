//! From an HTTP request to a call, and back.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{Method as HttpMethod, header},
    web,
};
use tokio::time::timeout;

use super::{
    encoding::Encoding,
    error::{TwirpCode, TwirpError},
    methods::{Call, Method},
};
use crate::http::{
    app::Door,
    bearer::{self, bearer},
};

const ROOM_SERVICE: &str = "livekit.RoomService";

/// Methods of the room service that only LiveKit's cloud has, or that need what HIVE lacks.
const MISSING_METHODS: [&str; 3] = ["ForwardParticipant", "MoveParticipant", "PerformRpc"];

/// LiveKit's other services.
const MISSING_SERVICES: [&str; 9] = [
    "livekit.AgentDispatchService",
    "livekit.AgentSimulation",
    "livekit.CloudAgent",
    "livekit.Connector",
    "livekit.Egress",
    "livekit.Ingress",
    "livekit.PhoneNumberService",
    "livekit.Replay",
    "livekit.SIP",
];

/// Answers one call of any service.
pub(super) async fn answer(
    door: web::Data<Door>,
    address: web::Path<(String, String)>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    if request.method() == HttpMethod::OPTIONS {
        return HttpResponse::NoContent()
            .insert_header((header::ALLOW, "POST, OPTIONS"))
            .finish();
    }
    let (service, name) = address.into_inner();
    let answer = match routed(&request, &service, &name) {
        Ok(method) => {
            let answer = call(&door, method, &request, payload).await;
            count(method.name(), &answer);
            answer
        }
        Err(error) => {
            let answer = Err(error);
            // The name is the client's invention.
            count("other", &answer);
            answer
        }
    };
    answer.unwrap_or_else(|error| {
        tracing::debug!(service, method = name, %error, "a Twirp request was refused");
        error.error_response()
    })
}

/// Answers what has not even the form of a call.
pub(super) async fn bad_route(request: HttpRequest) -> HttpResponse {
    let error = TwirpCode::BadRoute.because(format!(
        "{} is no method; an address is /twirp/{ROOM_SERVICE}/<method>",
        request.path()
    ));
    error.error_response()
}

fn routed(request: &HttpRequest, service: &str, name: &str) -> Result<Method, TwirpError> {
    if request.method() != HttpMethod::POST {
        return Err(bad_route_of(
            request,
            format!("{} is not taken, only POST is", request.method()),
        ));
    }
    if MISSING_SERVICES.contains(&service) {
        return Err(TwirpCode::Unimplemented.because(format!(
            "HIVE has no {service}: of LiveKit's services it has {ROOM_SERVICE} only (docs/http.md)"
        )));
    }
    if service != ROOM_SERVICE {
        let reason = format!("there is no service {service}");
        return Err(bad_route_of(request, reason));
    }
    if MISSING_METHODS.contains(&name) {
        return Err(TwirpCode::Unimplemented.because(format!(
            "HIVE's room service has no {name}; docs/http.md lists the methods that it has"
        )));
    }
    Method::of(name).ok_or_else(|| {
        let reason = format!("{ROOM_SERVICE} has no method {name}");
        bad_route_of(request, reason)
    })
}

fn bad_route_of(request: &HttpRequest, reason: String) -> TwirpError {
    let invalid_route = format!("{} {}", request.method(), request.path());
    // Twirp's libraries tell it by this member.
    TwirpCode::BadRoute
        .because(reason)
        .with("twirp_invalid_route", invalid_route)
}

/// The token comes before the body, so that nobody else can make the server read one.
async fn call(
    door: &Door,
    method: Method,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, TwirpError> {
    let encoding = Encoding::of(request)?;
    let claims = bearer::verify(door, bearer(request))?;
    let body = door.bytes(payload, door.http.room_service.max_body).await?;
    let call = Call {
        rooms: &*door.backend,
        video: &claims.video,
        encoding,
        body: &body,
    };
    let answer = timeout(door.http.request_timeout, call.run(method))
        .await
        .map_err(|_| {
            TwirpCode::DeadlineExceeded.because("the rooms took longer than http.request_timeout")
        })??;
    tracing::info!(
        method = method.name(),
        api_key = claims.iss,
        "the room service was used"
    );
    Ok(answer)
}

fn count(method: &'static str, answer: &Result<HttpResponse, TwirpError>) {
    let code = answer
        .as_ref()
        .map_or_else(|error| error.code().name(), |_| "ok");
    metrics::counter!("hive_twirp_requests_total", "method" => method, "code" => code).increment(1);
}
