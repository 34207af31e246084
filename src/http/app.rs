//! The addresses there are, and what all of them share.

use std::time::Instant;

use actix_web::{
    HttpRequest, HttpResponse, Resource, ResponseError,
    http::{Method, header},
    web,
};
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::{sync::watch, time::timeout};

use super::{
    backend::Backend,
    events, health,
    problem::{Problem, ProblemKind},
    problems,
    rate::RateLimiter,
    signalling::{self, Flow},
    stats, supervision, token,
};
use crate::{
    auth::{Keyring, ServiceKeys},
    config::{self, Config},
    livekit::{self, twirp},
    turn::IceServers,
};

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doorway {
    Open,
    /// The server goes down.
    Closing,
}

/// What every handler has.
pub(crate) struct Door {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) keyring: Keyring,
    pub(crate) service_keys: ServiceKeys,
    pub(crate) http: config::Http,
    pub(crate) chaos: bool,
    pub(crate) limiter: Mutex<RateLimiter>,
    /// Calls of the room service, by API key.
    pub(crate) key_limiter: Mutex<RateLimiter<String>>,
    pub(crate) doorway: watch::Receiver<Doorway>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) started: Instant,
    /// The TURN and STUN servers that clients are told of.
    pub(crate) ice_servers: IceServers,
}

impl Door {
    pub(crate) fn new(
        config: &Config,
        backend: Box<dyn Backend>,
        ice_servers: IceServers,
        metrics: PrometheusHandle,
        doorway: watch::Receiver<Doorway>,
    ) -> Self {
        Self {
            backend,
            keyring: Keyring::new(&config.auth),
            service_keys: ServiceKeys::new(&config.auth.service_keys),
            http: config.http.clone(),
            chaos: config.chaos.enabled,
            ice_servers,
            limiter: Mutex::new(RateLimiter::new(&config.http.rate)),
            key_limiter: Mutex::new(RateLimiter::new(&config.http.room_service.rate())),
            doorway,
            metrics,
            started: Instant::now(),
        }
    }

    /// Refuses new work while the server goes down.
    pub(crate) fn open(&self) -> Result<(), Problem> {
        match *self.doorway.borrow() {
            Doorway::Open => Ok(()),
            Doorway::Closing => Err(ProblemKind::NotReady
                .because("the server is shutting down; use another one")
                .retry_after(5)),
        }
    }

    /// The body, as text, if it has the media type and keeps within size and time.
    pub(crate) async fn text(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        media_type: &str,
    ) -> Result<String, Problem> {
        let given = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let essence = given
            .and_then(|value| value.split(';').next())
            .map(str::trim);
        if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case(media_type)) {
            let accept = if request.method() == Method::PATCH {
                header::HeaderName::from_static("accept-patch")
            } else {
                header::HeaderName::from_static("accept-post")
            };
            let problem = ProblemKind::UnsupportedMediaType
                .because(format!("the Content-Type has to be {media_type}"));
            return Err(problem.header(accept, media_type));
        }
        let bytes = self.bytes(payload, self.http.max_body).await?;
        String::from_utf8(bytes.into())
            .map_err(|_| ProblemKind::BadRequest.because("the body is not UTF-8"))
    }

    /// The body, if it has `limit` bytes at most and comes in time.
    pub(crate) async fn bytes(
        &self,
        payload: web::Payload,
        limit: usize,
    ) -> Result<web::Bytes, Problem> {
        let read = timeout(self.http.request_timeout, payload.to_bytes_limited(limit)).await;
        read.map_err(|_| ProblemKind::RequestTimeout)?
            .map_err(|_| {
                ProblemKind::PayloadTooLarge
                    .because(format!("the body is larger than {limit} bytes"))
            })?
            .map_err(|error| {
                ProblemKind::BadRequest.because(format!("the body did not arrive whole: {error}"))
            })
    }

    /// The body, from JSON.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<T, Problem> {
        let text = self.text(request, payload, "application/json").await?;
        let mut json = serde_json::Deserializer::from_str(&text);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, reason) = (error.path().to_string(), error.inner().to_string());
            ProblemKind::InvalidJson.because(if path == "." {
                reason
            } else {
                format!("{path}: {reason}")
            })
        })?;
        json.end()
            .map_err(|error| ProblemKind::InvalidJson.because(error))?;
        Ok(value)
    }
}

/// All addresses. A method that an address does not take is a 405 with `Allow`; OPTIONS tells the same with 204.
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(only(
        web::resource("/live").route(web::get().to(health::live)),
        "GET, OPTIONS",
    ))
    .service(only(
        web::resource("/ready").route(web::get().to(health::ready)),
        "GET, OPTIONS",
    ))
    .service(only(
        web::resource("/health").route(web::get().to(health::health)),
        "GET, OPTIONS",
    ))
    .service(only(
        web::resource("/metrics").route(web::get().to(health::metrics)),
        "GET, OPTIONS",
    ))
    .service(only(
        web::resource("/problems").route(web::get().to(problems::all)),
        "GET, OPTIONS",
    ))
    .service(only(
        web::resource("/problems/{slug}").route(web::get().to(problems::one)),
        "GET, OPTIONS",
    ))
    .service(only(
        web::resource("/auth/token/room").route(web::post().to(token::issue)),
        "POST, OPTIONS",
    ))
    .service(only(
        web::resource("/rooms/{room}/events").route(web::get().to(events::open)),
        "GET, OPTIONS",
    ))
    .service(only(
        web::resource("/supervision").route(web::get().to(supervision::tree)),
        "GET, OPTIONS",
    ))
    .service(only(
        web::resource("/supervision/kill").route(web::post().to(supervision::kill)),
        "POST, OPTIONS",
    ));
    for flow in [Flow::Whip, Flow::Whep] {
        let endpoint = web::resource(format!("/{}/{{room}}", flow.name()))
            .app_data(web::Data::new(flow))
            .route(web::post().to(signalling::offer))
            .route(web::method(Method::OPTIONS).to(signalling::endpoint_options));
        let session = web::resource(format!("/{}/{{room}}/{{session}}", flow.name()))
            .app_data(web::Data::new(flow))
            .route(web::patch().to(signalling::trickle))
            .route(web::delete().to(signalling::close))
            .route(web::method(Method::OPTIONS).to(signalling::session_options));
        app.service(only(endpoint, signalling::ENDPOINT_METHODS))
            .service(only(session, signalling::SESSION_METHODS));
    }
    livekit::routes(app);
    stats::routes(app);
    twirp::routes(app);
    app.default_service(web::to(|| async {
        Err::<HttpResponse, _>(Problem::from(ProblemKind::NotFound))
    }));
}

/// `resource`, telling which methods it takes to whoever tries another one.
pub(crate) fn only(resource: Resource, methods: &'static str) -> Resource {
    resource.default_service(web::to(move |request: HttpRequest| async move {
        if request.method() == Method::OPTIONS {
            return HttpResponse::NoContent()
                .insert_header((header::ALLOW, methods))
                .finish();
        }
        let detail = format!("{} is not among: {methods}", request.method());
        ProblemKind::MethodNotAllowed
            .because(detail)
            .header(header::ALLOW, methods)
            .error_response()
    }))
}
