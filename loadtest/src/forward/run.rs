//! The benchmark from the first join to the table.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use crate::process::Usage;
use crate::score::summary::tenth;
use crate::server::{HiveProcess, ServerSettings, StartServerError};

use super::client::{self, ClientError, Task};
use super::measure::Measure;
use super::options::ForwardOptions;

/// Longest wait until everybody is connected.
const CONNECT: Duration = Duration::from_secs(60);

/// Time for caches and timers to settle before the window opens.
const WARM_UP: Duration = Duration::from_secs(3);

/// Time for the window's last packets to arrive.
const DRAIN: Duration = Duration::from_millis(500);

/// Why the benchmark has no figures.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The server is not there.
    #[error(transparent)]
    Server(#[from] StartServerError),
    /// A client dropped out before the end.
    #[error("{source}; the server's log is {}", log.display())]
    Client {
        /// Why.
        source: ClientError,
        /// Where to look further.
        log: PathBuf,
    },
    /// Not everybody got in.
    #[error("only {connected} of {peers} peers connected within 60 s; the server's log is {}", log.display())]
    Connect {
        /// Peers connected.
        connected: u64,
        /// Peers in all.
        peers: u64,
        /// Where to look further.
        log: PathBuf,
    },
    /// The report could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The figures of a run.
#[derive(Debug, Clone, Serialize)]
pub struct ForwardReport {
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
    /// Memory of the server a peer, kB (10³ bytes): what it grew by since nobody was there.
    pub kb_per_peer: f64,
    /// CPU time of the server process in the window, user and system, seconds.
    pub server_cpu_seconds: f64,
    /// Resident memory of the server process in the end, MB.
    pub server_rss_mb: f64,
    /// Length of the window, seconds.
    pub seconds: f64,
    /// The options.
    pub options: ForwardOptions,
}

/// Run the benchmark; the table goes to standard output.
///
/// # Errors
///
/// See [`ForwardError`]; each says what to do.
pub async fn run(options: &ForwardOptions) -> Result<ForwardReport, ForwardError> {
    let peers = u64::from(options.rooms) * (1 + u64::from(options.listeners));
    let server = HiveProcess::start(&ServerSettings {
        binary: options.server.clone(),
        assets: std::path::absolute(&options.assets).unwrap_or_else(|_| options.assets.clone()),
        directory: options.out.clone(),
        chaos: false,
        decoders: 1,
        max_peers: peers as usize + 10,
        log_level: "warn".to_owned(),
    })
    .await?;
    // Without provider str0m panics at the first handshake.
    str0m::crypto::from_feature_flags().install_process_default();
    let measure = Arc::new(Measure::new());
    // Engines that load after /ready would count as memory of the peers.
    tokio::time::sleep(WARM_UP).await;
    let before = usage(&server);
    println!(
        "{} rooms × (1 speaker + {} listeners), {} packets/s of {} bytes a speaker. Connecting.",
        options.rooms, options.listeners, options.pps, options.bytes
    );
    let mut clients = JoinSet::new();
    for room in 0..options.rooms {
        for seat in 0..=options.listeners {
            let task = match seat {
                0 => Task::Speak {
                    bytes: usize::from(options.bytes),
                    pps: options.pps,
                },
                _ => Task::Listen,
            };
            clients.spawn(client::run(
                server.signalling(),
                format!("room-{room}"),
                format!("peer-{seat}"),
                task,
                measure.clone(),
            ));
            // Handshakes one by one: they are not what is measured.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let log = || server.log().to_owned();
    wait_for_all(&measure, peers, &mut clients, &log).await?;
    tokio::time::sleep(WARM_UP).await;

    println!(
        "All {peers} connected. Measuring for {} s.",
        options.seconds
    );
    let window = Duration::from_secs(u64::from(options.seconds));
    let (opened, cpu_before) = (Instant::now(), usage(&server).cpu_seconds);
    measure.open_window(window.as_micros() as u64);
    tokio::time::sleep(window).await;
    let after = usage(&server);
    let seconds = opened.elapsed().as_secs_f64();
    tokio::time::sleep(DRAIN).await;

    let figures = measure.figures();
    measure.stopping.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        finished(client, &log)?;
    }
    server.stop().await;
    let cpu = after.cpu_seconds - cpu_before;
    let expected = figures.sent * u64::from(options.listeners);
    let report = ForwardReport {
        peers,
        packets_sent: figures.sent,
        packets_forwarded: figures.received,
        packets_per_cpu_second: (figures.received as f64 / cpu.max(0.01)).round(),
        delivery_ratio: figures.received as f64 / expected.max(1) as f64,
        added_latency_p50_ms: figures.p50_ms,
        added_latency_p99_ms: figures.p99_ms,
        kb_per_peer: tenth((after.rss_mb - before.rss_mb) * 1000.0 / peers as f64),
        server_cpu_seconds: (cpu * 100.0).round() / 100.0,
        server_rss_mb: tenth(after.rss_mb),
        seconds: tenth(seconds),
        options: options.clone(),
    };
    print!("{}", render(&report));
    let default_path = || options.out.join("report.json");
    let path = options.report.clone().unwrap_or_else(default_path);
    let write = |source| ForwardError::Write {
        path: path.clone(),
        source,
    };
    let json = serde_json::to_string_pretty(&report).map_err(|e| write(e.into()))?;
    std::fs::write(&path, json + "\n").map_err(write)?;
    println!("The report is {}.", path.display());
    Ok(report)
}

fn usage(server: &HiveProcess) -> Usage {
    server
        .process()
        .map(|process| process.usage())
        .unwrap_or_default()
}

async fn wait_for_all(
    measure: &Measure,
    peers: u64,
    clients: &mut JoinSet<Result<(), ClientError>>,
    log: &impl Fn() -> PathBuf,
) -> Result<(), ForwardError> {
    let deadline = tokio::time::Instant::now() + CONNECT;
    loop {
        let connected = measure.connected.load(Ordering::Relaxed);
        if connected == peers {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            Some(client) = clients.join_next() => finished(client, log)?,
        }
        if tokio::time::Instant::now() > deadline {
            return Err(ForwardError::Connect {
                connected,
                peers,
                log: log(),
            });
        }
    }
}

fn finished(
    client: Result<Result<(), ClientError>, tokio::task::JoinError>,
    log: &impl Fn() -> PathBuf,
) -> Result<(), ForwardError> {
    let result = client.unwrap_or(Err(ClientError::Lost));
    result.map_err(|source| ForwardError::Client { source, log: log() })
}

fn render(report: &ForwardReport) -> String {
    let line = |figure: &str, value: String, target: &str, met: Option<bool>| {
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let line = format!("  {figure:<36}  {value:>12}  {target:<10}  {verdict}");
        line.trim_end().to_owned() + "\n"
    };
    let r = report;
    [
        line(
            "forwarded packets per CPU-second",
            format!("{:.0}", r.packets_per_cpu_second),
            "≥ 70000",
            Some(r.packets_per_cpu_second >= 70_000.0),
        ),
        line(
            "delivered",
            format!("{:.3} %", r.delivery_ratio * 100.0),
            "≥ 99.9 %",
            Some(r.delivery_ratio >= 0.999),
        ),
        line(
            "added latency p50",
            format!("{:.2} ms", r.added_latency_p50_ms),
            "",
            None,
        ),
        line(
            "added latency p99",
            format!("{:.2} ms", r.added_latency_p99_ms),
            "",
            None,
        ),
        line(
            "memory a peer",
            format!("{:.0} kB", r.kb_per_peer),
            "≤ 250 kB",
            Some(r.kb_per_peer <= 250.0),
        ),
        line(
            "server CPU",
            format!("{:.2} s", r.server_cpu_seconds),
            "",
            None,
        ),
        line(
            "forwarded packets",
            r.packets_forwarded.to_string(),
            "",
            None,
        ),
    ]
    .concat()
}
