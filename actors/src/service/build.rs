//! Puts a service together: engines, workers, tree.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hive_media::{Certificate, MediaWorker, WorkerConfig};
use hive_models::Lang;
use hive_models::mt::apertium::{ApertiumPool, ApertiumSettings};
use hive_models::stt::DecoderPool;
use hive_models::stt::pocketsphinx::{Model, SearchSettings};
use hive_models::tts::espeak::{EspeakPool, EspeakSettings};
use hive_models::vad::SileroVad;

use super::{Service, StartServiceError};
use crate::device::{Device, DeviceActor, QueueSpec};
use crate::engines::{Engines, PooledEngine, SpeechEngine};
use crate::hall::Hall;
use crate::media::{Notice, events_spec, worker_spec};
use crate::pipeline::ingest;
use crate::pipeline::stage;
use crate::pipeline::stt::SttModel;
use crate::pipeline::vad::VadModel;
use crate::settings::{EngineSettings, MediaSettings, ServiceSettings};
use crate::supervision::{
    ChildSpec, Inbox, MailboxSpec, MessageClass, Overflow, Placement, RootOptions, SupervisorSpec,
    mailbox, start_root,
};
use crate::{observer, telemetry};

/// Notices of media workers that may wait; each peer's end is one.
const NOTICES: usize = 4096;

/// Messages of data channels that may wait. A media worker takes a quarter of a megabyte of a peer's, at
/// least a kilobyte each, until they are dealt with, so it takes 256 floods at once to fill this.
const MESSAGES: usize = 65_536;

/// Threads for actors. Stages only move data between logs and engines, so few are enough.
const ARBITERS: usize = 2;

pub(super) async fn start(settings: ServiceSettings) -> Result<Service, StartServiceError> {
    if actix::System::try_current().is_none() {
        return Err(StartServiceError::NoSystem);
    }
    if settings.media.workers == 0 {
        return Err(StartServiceError::Setting {
            key: "media.workers",
            reason: "at least one worker is needed".into(),
        });
    }
    telemetry::describe();
    let device = Device::new(settings.device.clone());
    let engines = engines(&settings, &device).await?;
    let (notices, inbox) = mailbox::channel(
        MailboxSpec::new("media")
            .class(MessageClass::Control, NOTICES, Overflow::DropOldest)
            .class(MessageClass::Word, MESSAGES, Overflow::DropOldest),
    );
    let workers = workers(&settings.media, &notices)?;
    let hall = Arc::new(Hall::new(settings, engines, workers));
    let root = start_root(
        tree(&hall, device, inbox),
        RootOptions {
            arbiters: ARBITERS,
            seed: rand::random(),
            ..RootOptions::default()
        },
    );
    hall.set_supervisor(root.supervisor(&root.path().join("rooms")));
    root.ready()
        .await
        .map_err(|reason| StartServiceError::Tree {
            reason: reason.to_string(),
        })?;
    Ok(Service::new(hall, root))
}

fn tree(hall: &Arc<Hall>, device: Device, inbox: Inbox<Notice>) -> SupervisorSpec {
    let cpu = ChildSpec::worker("cpu", move |child| DeviceActor::new(device.clone(), child));
    let devices = stage::lenient("devices").child(cpu);
    let mut media = stage::lenient("media").child(events_spec(hall.clone(), inbox));
    for index in 0..hall.workers.len() {
        media = media.child(worker_spec(hall.clone(), index));
    }
    stage::lenient("hive")
        .child(observer::spec(hall.clone()).arbiter(Placement::Kernel))
        .child(ChildSpec::supervisor("devices", devices))
        .child(ChildSpec::supervisor("media", media))
        .child(ChildSpec::supervisor("rooms", stage::lenient("rooms")))
}

pub(crate) async fn engines(
    settings: &ServiceSettings,
    device: &Device,
) -> Result<Engines, StartServiceError> {
    let failed =
        |engine: &'static str| move |reason: String| StartServiceError::Engine { engine, reason };
    let EngineSettings {
        assets,
        decoders,
        apertium_children,
        espeak_children,
        voices,
    } = settings.engines.clone();
    let silero = assets.clone();
    let batch_max = settings.device.batch_max;
    let vad = device.queue(QueueSpec {
        name: "vad",
        load: Box::new(move || {
            let model = SileroVad::load(&silero).map_err(|error| error.to_string())?;
            Ok(VadModel(Arc::new(model)))
        }),
        batch_max,
        batch_wait: settings.device.batch_wait,
    });
    let stt = device.queue(QueueSpec {
        name: "stt",
        load: Box::new(|| Ok(SttModel)),
        batch_max: 1,
        batch_wait: std::time::Duration::ZERO,
    });
    let loading = vad.clone();
    tokio::task::spawn_blocking(move || loading.load())
        .await
        .map_err(|error| failed("vad")(error.to_string()))?
        .map_err(|error| failed("vad")(error.to_string()))?;
    let model = Model::open(&assets, SearchSettings::default())
        .map_err(|error| failed("stt")(error.to_string()))?;
    let pool = Arc::new(PooledEngine::new(DecoderPool::new(
        model, decoders, decoders,
    )));
    let recognisers = BTreeMap::from([(Lang::EN, pool as Arc<dyn SpeechEngine>)]);
    let apertium = ApertiumSettings {
        pipelines: apertium_children,
        ..ApertiumSettings::default()
    };
    let apertium =
        Arc::new(ApertiumPool::start(apertium).map_err(|error| failed("mt")(error.to_string()))?);
    let espeak = EspeakSettings {
        children: espeak_children,
        rate: settings.pipeline.speech.rate,
        voices,
        ..EspeakSettings::default()
    };
    let espeak = EspeakPool::start(espeak).map_err(|error| failed("tts")(error.to_string()))?;
    let engines = Engines {
        frames: ingest::speech_decoder(),
        vad,
        stt,
        recognisers,
        translate: apertium.clone(),
        voices: Arc::new(espeak),
    };
    // The first clause should not wait for a translator to load its data.
    for pair in engines.pairs() {
        let apertium = apertium.clone();
        actix::spawn(async move {
            if let Err(error) = apertium.warm(pair).await {
                tracing::warn!(%pair, %error, "a translator could not be started ahead of need");
            }
        });
    }
    Ok(engines)
}

fn workers(
    settings: &MediaSettings,
    notices: &mailbox::Mailbox<Notice>,
) -> Result<Vec<MediaWorker>, StartServiceError> {
    let failed = |error: &dyn std::fmt::Display| StartServiceError::Media {
        reason: error.to_string(),
    };
    let certificate = Arc::new(Certificate::generate().map_err(|error| failed(&error))?);
    (0..settings.workers)
        .map(|index| {
            let port = match settings.bind.port() {
                0 => 0,
                port => u16::try_from(usize::from(port) + index).map_err(|_| {
                    StartServiceError::Setting {
                        key: "media.bind",
                        reason: format!("there are no {} ports from {port} on", settings.workers),
                    }
                })?,
            };
            let config = WorkerConfig {
                bind: SocketAddr::new(settings.bind.ip(), port),
                tcp: settings.tcp,
                tcp_per_client: settings.tcp_per_client,
                advertise: settings.advertise.clone(),
                idle_timeout: settings.idle_timeout,
                max_peers: settings.max_peers,
                prominent_speakers: settings.prominent_speakers,
                certificate: certificate.clone(),
            };
            let notices = notices.clone();
            MediaWorker::start(config, move |event| {
                // A closed mailbox is a service that is going down.
                let _ = notices.send(Notice(event));
            })
            .map_err(|error| failed(&error))
        })
        .collect()
}
