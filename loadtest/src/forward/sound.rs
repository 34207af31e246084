//! Speakers and listeners, over WHIP and WHEP.

use std::time::Duration;

use serde::Serialize;

use super::bench::{Bench, Costs, ForwardError, write};
use super::client::{self, Task};
use super::options::{Case, ForwardOptions};
use super::turns::Turns;
use crate::score::summary::Summary;
use crate::score::table::{self, Row};

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
    let spawn = |bench: &mut Bench, room: u16, seat: u16, task: Task| {
        bench.clients.spawn(client::run(
            bench.server.signalling(),
            format!("room-{room}"),
            format!("peer-{seat}"),
            task,
            bench.measure.clone(),
        ));
    };
    for room in 0..rooms {
        for seat in 0..speakers {
            let turns = match crowd {
                true => Turns::of(seat, speakers, options.talking),
                false => Turns::always(),
            };
            let task = Task::Speak {
                bytes: usize::from(options.bytes),
                pps: options.pps,
                turns,
            };
            spawn(&mut bench, room, seat, task);
            tokio::time::sleep(pace).await;
        }
        if crowd {
            // So that a listener who joins has something to hear.
            let connected = u64::from(room) * u64::from(speakers + listeners);
            bench.wait_for(connected + u64::from(speakers)).await?;
        }
        for seat in 0..listeners {
            let task = Task::Listen {
                sections: speakers,
                decrypt: !crowd || seat % DECRYPTING == 0,
            };
            spawn(&mut bench, room, speakers + seat, task);
            tokio::time::sleep(pace).await;
        }
        if crowd {
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
    print!("{}", table::render("Forwarding", &rows(&report)));
    write(options, &report)?;
    Ok(report)
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
        rows.push(joins(&r.join_ms));
    }
    rows
}

/// How long joining took.
pub(super) fn joins(join_ms: &Summary) -> Row {
    let ms = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.0}"));
    let value = format!("{}, {} ms", ms(join_ms.p50), ms(join_ms.p95));
    Row::told("join to first packet p50, p95", value)
}
