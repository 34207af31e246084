//! `hive serve`.

use std::{
    process,
    time::{Duration, Instant},
};

use actix::System;
use hive_actors::{Service, ServiceSettings, StartServiceError};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use super::Source;
use crate::{
    config::{Complaint, Config, LoadConfigError},
    http::{self, StartHttpError},
    livekit::webhook::{self, StartWebhooksError},
    telemetry::{self, StartLogError, StartMetricsError},
    turn::{self, BindTurnError, IceServers, MediaAddress, StartTurnError},
};

/// The server did not start, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error(transparent)]
    Config(#[from] LoadConfigError),
    #[error("{0}")]
    NoKeys(Complaint),
    #[error(transparent)]
    Log(#[from] StartLogError),
    #[error(transparent)]
    Metrics(#[from] StartMetricsError),
    #[error(transparent)]
    Http(#[from] StartHttpError),
    #[error(transparent)]
    BindTurn(#[from] BindTurnError),
    #[error(transparent)]
    StartTurn(#[from] StartTurnError),
    #[error(transparent)]
    Service(#[from] StartServiceError),
    #[error(transparent)]
    Webhooks(#[from] StartWebhooksError),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error("not everything ended within http.shutdown_timeout ({0:?}); what was left was cut off")]
    Slow(Duration),
}

/// How often readiness is looked at until it is there.
const READINESS_INTERVAL: Duration = Duration::from_millis(100);

/// Runs the server until a signal.
pub(super) fn run(source: &Source) -> Result<(), ServeError> {
    let config = source.load()?;
    if let Some(complaint) = config.missing_keys() {
        return Err(ServeError::NoKeys(complaint));
    }
    telemetry::start_log(&config.log)?;
    for key in config.well_known_keys() {
        tracing::warn!(
            key,
            "this key is publicly known, anybody can forge what it signs; replace it: hive keys"
        );
    }
    if config.chaos.enabled {
        tracing::warn!(
            "chaos.enabled permits POST /supervision/kill; this is no server to rely on"
        );
    }
    System::new().block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), ServeError> {
    let mut signals = Signals::new().map_err(ServeError::Signals)?;
    let listener = http::bind(config.http.bind)?;
    let turn_sockets = config
        .turn
        .enabled
        .then(|| turn::bind(config.turn.bind))
        .transpose()?;
    let metrics = telemetry::start_metrics()?;
    let service = Service::start(ServiceSettings::from(&config)).await?;
    let turn = turn_sockets
        .map(|sockets| turn::start(sockets, &config.turn, &media_addresses(&service)))
        .transpose()?;
    let ice_servers = match (&turn, &config.turn.external) {
        (Some(turn), _) => turn.ice_servers(),
        (None, Some(external)) => IceServers::external(external, config.turn.ttl),
        (None, None) => IceServers::none(),
    };
    let webhooks = webhook::start(&config, || service.lifecycle())?;
    let server = http::start(listener, &config, service.clone(), ice_servers, metrics)?;
    if let Some(turn) = &turn {
        tracing::info!(turn = %turn.address(), "relaying for clients that cannot reach the media");
    }
    tracing::info!(
        http = %server.address(),
        media = ?service.media_addresses(),
        version = env!("CARGO_PKG_VERSION"),
        "hive is serving"
    );
    actix_web::rt::spawn(tell_when_ready(service.clone()));
    let name = signals.next().await;
    let deadline = config.http.shutdown_timeout;
    tracing::info!(
        signal = name,
        deadline_s = deadline.as_secs(),
        "shutting down; another signal ends at once"
    );
    actix_web::rt::spawn(async move {
        signals.next().await;
        tracing::warn!("ended at once by a second signal");
        process::exit(130);
    });
    server.close();
    let ending = async {
        let service = service.shutdown(deadline).await;
        server.stop().await;
        if let Some(turn) = turn {
            turn.stop().await;
        }
        // Last: the rooms' end is an event, too.
        if let Some(webhooks) = webhooks {
            webhooks.finish().await;
        }
        service
    };
    match timeout(deadline, ending).await {
        Ok(Ok(())) => {
            tracing::info!("everything has ended");
            Ok(())
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the rooms did not end in time");
            Err(ServeError::Slow(deadline))
        }
        Err(_) => {
            server.abort().await;
            Err(ServeError::Slow(deadline))
        }
    }
}

/// What TURN may relay to.
fn media_addresses(service: &Service) -> Vec<MediaAddress> {
    let bound = service.media_addresses().into_iter();
    bound
        .zip(service.media_candidates())
        .map(|(bound, candidates)| MediaAddress { bound, candidates })
        .collect()
}

/// Decoders are loaded in the background, so that the door opens early; says when all is there.
async fn tell_when_ready(service: Service) {
    let started = Instant::now();
    while !service.ready().await.ready {
        tokio::time::sleep(READINESS_INTERVAL).await;
    }
    tracing::info!(
        after_ms = started.elapsed().as_millis() as u64,
        "hive is ready"
    );
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
