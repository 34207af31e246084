//! Cameras in three layers and subscribers, over LiveKit's protocol.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use super::bench::{Bench, Costs, ForwardError, conclude};
use super::client::ClientError;
use super::measure::Measure;
use super::options::ForwardOptions;
use super::sound::joins;
use super::subscriber::{self, Received};
use crate::link::LinkSettings;
use crate::livekit::{JoinOptions, Participant};
use crate::peer::{Role, Signalling};
use crate::score::summary::Summary;
use crate::score::table::Row;
use crate::squeeze::publisher::{Publishing, publish};
use crate::video::LAYERS;

/// Time between joins.
const PACE: Duration = Duration::from_millis(25);

/// Pictures a second that subscribers are to be shown; the camera takes 30.
const PICTURES: f64 = 29.0;

/// Share of them that is to be of the layer asked for.
const AS_ASKED: f64 = 0.99;

/// The figures of a run.
#[derive(Debug, Clone, Serialize)]
pub struct VideoReport {
    /// Participants, publishers and subscribers.
    pub peers: u64,
    /// Packets of video that subscribers received in the window.
    pub packets_forwarded: u64,
    /// The same per CPU-second of the server process.
    pub packets_per_cpu_second: f64,
    /// Packets received per sequence number that was sent to a subscriber.
    pub delivery_ratio: f64,
    /// Pictures a second that subscribers could show, mean.
    pub pictures_per_second: f64,
    /// The same of the subscriber that had fewest.
    pub fewest_pictures_per_second: f64,
    /// Share of the pictures that were of the layer asked for.
    pub as_asked: f64,
    /// Subscribers whose stream was not a continuous one that decodes.
    pub faulty_streams: u64,
    /// From a subscriber's request to the first whole picture, ms.
    pub join_ms: Summary,
    #[serde(flatten)]
    costs: Costs,
    /// The options.
    pub options: ForwardOptions,
}

pub(super) async fn run(options: &ForwardOptions) -> Result<VideoReport, ForwardError> {
    let (rooms, subscribers) = (options.rooms(), options.listeners());
    let mut bench = Bench::start(options).await?;
    println!(
        "{rooms} rooms × (1 camera in 3 layers + {subscribers} subscribers of one each). Connecting."
    );
    for room in 0..rooms {
        bench.clients.spawn(camera(
            bench.server.signalling(),
            format!("room-{room}"),
            u64::from(room),
            bench.measure.clone(),
        ));
        tokio::time::sleep(PACE).await;
    }
    bench.wait_for(u64::from(rooms)).await?;
    let received = Arc::new(Mutex::new(Received::default()));
    for room in 0..rooms {
        for seat in 0..subscribers {
            bench.clients.spawn(subscriber::run(
                bench.server.signalling(),
                format!("room-{room}"),
                format!("subscriber-{seat}"),
                (seat % LAYERS.len() as u16) as u8,
                bench.measure.clone(),
                received.clone(),
            ));
            tokio::time::sleep(PACE).await;
        }
    }
    let measure = bench.measure.clone();
    let (figures, costs) = bench.measure(options.seconds).await?;
    let received = received.lock();
    let everybody = f64::from(rooms) * f64::from(subscribers) * costs.seconds;
    let report = VideoReport {
        peers: options.peers(),
        packets_forwarded: figures.received,
        packets_per_cpu_second: costs.per_cpu_second(figures.received),
        delivery_ratio: received.packets as f64
            / (received.packets + received.missing).max(1) as f64,
        pictures_per_second: received.pictures as f64 / everybody,
        fewest_pictures_per_second: received.fewest.unwrap_or(0) as f64 / costs.seconds,
        as_asked: received.as_asked as f64 / received.pictures.max(1) as f64,
        faulty_streams: received.faulty,
        join_ms: measure.joins_ms(),
        costs,
        options: options.clone(),
    };
    if received.faulty > 0 {
        println!("A faulty stream: {:?}", received.faults);
    }
    let rows = rows(&report);
    conclude(options, ("Video in three layers", &rows), &report)?;
    Ok(report)
}

async fn camera(
    signalling: Signalling,
    room: String,
    seed: u64,
    measure: Arc<Measure>,
) -> Result<(), ClientError> {
    let options = JoinOptions {
        room,
        identity: "camera".to_owned(),
        role: Role::Speaker,
        subscribe: false,
        link: LinkSettings::ideal(),
    };
    let participant = Participant::join(&signalling, &options).await?;
    let publishing = Arc::new(Publishing::default());
    let publisher = publish(participant, measure.origin(), seed, publishing.clone());
    tokio::pin!(publisher);
    let mut connected = false;
    loop {
        tokio::select! {
            ended = &mut publisher => return Ok(ended?),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        if !connected && publishing.video_packets.load(Ordering::Relaxed) > 0 {
            connected = true;
            measure.connected.fetch_add(1, Ordering::Relaxed);
        }
        if measure.stopping.load(Ordering::Relaxed) {
            publishing.stop.store(true, Ordering::Relaxed);
        }
    }
}

fn rows(report: &VideoReport) -> Vec<Row> {
    let r = report;
    vec![
        Row::told(
            "forwarded packets per CPU-second",
            format!("{:.0}", r.packets_per_cpu_second),
        ),
        Row::judged(
            "delivered",
            format!("{:.3} %", r.delivery_ratio * 100.0),
            "≥ 99.9 %",
            r.delivery_ratio >= 0.999,
        ),
        Row::judged(
            "streams that do not decode throughout",
            r.faulty_streams.to_string(),
            "0",
            r.faulty_streams == 0,
        ),
        Row::judged(
            "pictures a second, mean and fewest",
            format!(
                "{:.1}, {:.1}",
                r.pictures_per_second, r.fewest_pictures_per_second
            ),
            "mean ≥ 29",
            r.pictures_per_second >= PICTURES,
        ),
        Row::judged(
            "of the layer asked for",
            format!("{:.1} %", r.as_asked * 100.0),
            "≥ 99 %",
            r.as_asked >= AS_ASKED,
        ),
        Row::told(
            "memory a participant",
            format!("{:.0} kB", r.costs.kb_per_peer),
        ),
        joins(&r.join_ms),
        Row::told("server CPU", format!("{:.2} s", r.costs.server_cpu_seconds)),
        Row::told("forwarded packets", r.packets_forwarded.to_string()),
    ]
}
