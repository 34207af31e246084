//! Speakers and listeners, over WHIP and WHEP or over LiveKit's signalling.

use std::time::Duration;

use serde::Serialize;

use super::bench::{Bench, Costs, ForwardError, conclude};
use super::client::{self, Task};
use super::options::{Case, ForwardOptions, Protocol};
use super::turns::Turns;
use super::voices;
use crate::score::summary::Summary;
use crate::score::table::Row;

/// In a crowd one listener of so many decrypts what it hears; the others count it, so that they leave
/// the CPU to the server.
const DECRYPTING: u16 = 50;

/// The figures of a run.
#[derive(Debug, Clone, Serialize)]
pub struct SoundReport {
    /// Peers connected, speakers and listeners.
    pub peers: u64,
    /// Packets that speakers sent in the window.
    pub packets_sent: u64,
    /// Packets that listeners received of them.
    pub packets_forwarded: u64,
    /// Received packets per CPU-second of the server process.
    pub packets_per_cpu_second: f64,
    /// Received packets per packet that should have been.
    pub delivery_ratio: f64,
    /// Speaker's socket → listener's stack, median, ms.
    pub added_latency_p50_ms: f64,
    /// The same, 99th percentile, ms.
    pub added_latency_p99_ms: f64,
    /// From a listener's request to its first packet, ms.
    pub join_ms: Summary,
    #[serde(flatten)]
    costs: Costs,
    /// The options.
    pub options: ForwardOptions,
}

pub(super) async fn run(options: &ForwardOptions) -> Result<SoundReport, ForwardError> {
    let crowd = options.case == Case::Crowd;
    let (rooms, speakers, listeners) = (options.rooms(), options.speakers(), options.listeners());
    let mut bench = Bench::start(options).await?;
    println!(
        "{rooms} rooms × ({speakers} speakers + {listeners} listeners), {} packets/s of {} bytes a speaker{}. \
         Connecting.",
        options.pps,
        options.bytes,
        match crowd {
            true => format!(", {} talking at a time", options.talking),
            false => String::new(),
        },
    );
    // Handshakes one by one: they are not what is measured. Those of a crowd are.
    let pace = Duration::from_millis(if crowd { 25 } else { 10 });
    for room in 0..rooms {
        for seat in 0..speakers {
            speak(&mut bench, options, (room, seat));
            tokio::time::sleep(pace).await;
        }
        if crowd || options.protocol == Protocol::Livekit {
            // So that a listener who joins has something to hear.
            let connected = u64::from(room) * u64::from(speakers + listeners);
            bench.wait_for(connected + u64::from(speakers)).await?;
        }
        for seat in 0..listeners {
            listen(&mut bench, options, (room, seat));
            tokio::time::sleep(pace).await;
        }
        if crowd || options.protocol == Protocol::Livekit {
            let connected = u64::from(room + 1) * u64::from(speakers + listeners);
            bench.wait_for(connected).await?;
        }
    }
    let measure = bench.measure.clone();
    let (figures, costs) = bench.measure(options.seconds).await?;
    let expected = figures.sent * u64::from(listeners);
    let report = SoundReport {
        peers: options.peers(),
        packets_sent: figures.sent,
        packets_forwarded: figures.received,
        packets_per_cpu_second: costs.per_cpu_second(figures.received),
        delivery_ratio: figures.received as f64 / expected.max(1) as f64,
        added_latency_p50_ms: figures.p50_ms,
        added_latency_p99_ms: figures.p99_ms,
        join_ms: measure.joins_ms(),
        costs,
        options: options.clone(),
    };
    let rows = rows(&report);
    conclude(options, ("Forwarding", &rows), &report)?;
    Ok(report)
}

/// Who takes a seat among the speakers of a room.
fn speak(bench: &mut Bench, options: &ForwardOptions, (room, seat): (u16, u16)) {
    let turns = match options.case {
        Case::Crowd => Turns::of(seat, options.speakers(), options.talking),
        Case::Audio | Case::Video => Turns::always(),
    };
    let (bytes, pps) = (usize::from(options.bytes), options.pps);
    let (signalling, measure) = (bench.server.signalling(), bench.measure.clone());
    let (room, identity) = (format!("room-{room}"), format!("speaker-{seat}"));
    match options.protocol {
        Protocol::Whip => {
            let task = Task::Speak { bytes, pps, turns };
            bench
                .clients
                .spawn(client::run(signalling, room, identity, task, measure))
        }
        Protocol::Livekit => {
            let who = (room, identity);
            let speaker = voices::speak(signalling, who, (bytes, pps), turns, measure);
            bench.clients.spawn(speaker)
        }
    };
}

/// Who takes a seat among the listeners of a room.
fn listen(bench: &mut Bench, options: &ForwardOptions, (room, seat): (u16, u16)) {
    let (signalling, measure) = (bench.server.signalling(), bench.measure.clone());
    let (room, identity) = (format!("room-{room}"), format!("listener-{seat}"));
    match options.protocol {
        Protocol::Whip => {
            let task = Task::Listen {
                sections: options.speakers(),
                decrypt: options.case != Case::Crowd || seat % DECRYPTING == 0,
            };
            bench
                .clients
                .spawn(client::run(signalling, room, identity, task, measure))
        }
        Protocol::Livekit => {
            let listener = voices::listen(signalling, (room, identity), measure);
            bench.clients.spawn(listener)
        }
    };
}

fn rows(report: &SoundReport) -> Vec<Row> {
    let r = report;
    let ms = |value: f64| format!("{value:.2} ms");
    let mut rows = vec![
        Row::judged(
            "forwarded packets per CPU-second",
            format!("{:.0}", r.packets_per_cpu_second),
            "≥ 70000",
            r.packets_per_cpu_second >= 70_000.0,
        ),
        Row::judged(
            "delivered",
            format!("{:.3} %", r.delivery_ratio * 100.0),
            "≥ 99.9 %",
            r.delivery_ratio >= 0.999,
        ),
        Row::told("added latency p50", ms(r.added_latency_p50_ms)),
        Row::told("added latency p99", ms(r.added_latency_p99_ms)),
        Row::judged(
            "memory a peer",
            format!("{:.0} kB", r.costs.kb_per_peer),
            "≤ 250 kB",
            r.costs.kb_per_peer <= 250.0,
        ),
        Row::told("server CPU", format!("{:.2} s", r.costs.server_cpu_seconds)),
        Row::told("forwarded packets", r.packets_forwarded.to_string()),
    ];
    if r.options.case == Case::Crowd {
        rows.push(Row::told("who sends", talkers(&r.options)));
        rows.push(joins(&r.join_ms));
    }
    rows
}

/// What the packets of a crowd are: mostly those of the ones who talk, in full rate.
fn talkers(options: &ForwardOptions) -> String {
    let speakers = options.speakers();
    let talking = options.talking.min(speakers);
    format!(
        "{talking} of {speakers} at {} packets/s, {} at 2.5",
        options.pps,
        speakers - talking
    )
}

/// How long joining took.
pub(super) fn joins(join_ms: &Summary) -> Row {
    let ms = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.0}"));
    let value = format!("{}, {} ms", ms(join_ms.p50), ms(join_ms.p95));
    Row::told("join to first packet p50, p95", value)
}
