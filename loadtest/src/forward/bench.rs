//! What all cases of the benchmark share: the server, the wait, the costs, the lines of the table.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::{JoinError, JoinSet};

use crate::process::Usage;
use crate::score::summary::tenth;
use crate::score::table::{self, Row};
use crate::server::{HiveProcess, ServerSettings, StartServerError};

use super::client::ClientError;
use super::measure::{Figures, Measure};
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
    /// With `--check`.
    #[error("{0} of the targets are missed")]
    Missed(usize),
}

/// What a window cost the server.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Costs {
    /// Memory of the server a peer, kB (10³ bytes): what it grew by since nobody was there.
    pub(super) kb_per_peer: f64,
    /// CPU time of the server process in the window, user and system, seconds.
    pub(super) server_cpu_seconds: f64,
    /// Resident memory of the server process in the end, MB.
    pub(super) server_rss_mb: f64,
    /// Length of the window, seconds.
    pub(super) seconds: f64,
}

type Clients = JoinSet<Result<(), ClientError>>;

/// A server, and clients that come to it.
pub(super) struct Bench {
    pub(super) server: HiveProcess,
    pub(super) measure: Arc<Measure>,
    pub(super) clients: Clients,
    peers: u64,
    before: Usage,
}

impl Bench {
    pub(super) async fn start(options: &ForwardOptions) -> Result<Self, ForwardError> {
        let peers = options.peers();
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
        // Engines that load after /ready would count as memory of the peers.
        tokio::time::sleep(WARM_UP).await;
        Ok(Self {
            before: usage(&server),
            server,
            measure: Arc::new(Measure::new()),
            clients: JoinSet::new(),
            peers,
        })
    }

    /// Wait until so many have what they came for.
    pub(super) async fn wait_for(&mut self, peers: u64) -> Result<(), ForwardError> {
        let deadline = tokio::time::Instant::now() + CONNECT;
        loop {
            let connected = self.measure.connected.load(Ordering::Relaxed);
            if connected == peers {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
                Some(client) = self.clients.join_next() => self.finished(client)?,
            }
            if tokio::time::Instant::now() > deadline {
                return Err(ForwardError::Connect {
                    connected,
                    peers,
                    log: self.server.log().to_owned(),
                });
            }
        }
    }

    /// Measure for so many seconds, once everybody is in and warm; then send everybody home.
    pub(super) async fn measure(mut self, seconds: u16) -> Result<(Figures, Costs), ForwardError> {
        self.wait_for(self.peers).await?;
        tokio::time::sleep(WARM_UP).await;
        println!("All {} connected. Measuring for {seconds} s.", self.peers);
        let window = Duration::from_secs(u64::from(seconds));
        let (opened, cpu_before) = (Instant::now(), usage(&self.server).cpu_seconds);
        self.measure.open_window(window.as_micros() as u64);
        tokio::time::sleep(window).await;
        let after = usage(&self.server);
        let seconds = opened.elapsed().as_secs_f64();
        tokio::time::sleep(DRAIN).await;
        let figures = self.measure.figures();
        self.measure.stopping.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            self.finished(client)?;
        }
        self.server.stop().await;
        let cpu = after.cpu_seconds - cpu_before;
        let grown = (after.rss_mb - self.before.rss_mb) * 1000.0;
        Ok((
            figures,
            Costs {
                kb_per_peer: tenth(grown / self.peers as f64),
                server_cpu_seconds: (cpu * 100.0).round() / 100.0,
                server_rss_mb: tenth(after.rss_mb),
                seconds: tenth(seconds),
            },
        ))
    }

    fn finished(
        &self,
        client: Result<Result<(), ClientError>, JoinError>,
    ) -> Result<(), ForwardError> {
        let result = client.unwrap_or(Err(ClientError::Lost));
        result.map_err(|source| ForwardError::Client {
            source,
            log: self.server.log().to_owned(),
        })
    }
}

impl Costs {
    /// Packets per CPU-second of the server.
    pub(super) fn per_cpu_second(&self, packets: u64) -> f64 {
        (packets as f64 / self.server_cpu_seconds.max(0.01)).round()
    }
}

fn usage(server: &HiveProcess) -> Usage {
    server
        .process()
        .map(|process| process.usage())
        .unwrap_or_default()
}

/// Print the table, write the report where the options say, and fail if targets are missed and that was asked for.
pub(super) fn conclude(
    options: &ForwardOptions,
    (title, rows): (&str, &[Row]),
    report: &impl Serialize,
) -> Result<(), ForwardError> {
    print!("{}", table::render(title, rows));
    write(options, report)?;
    match table::missed(rows) {
        0 => Ok(()),
        _ if !options.check => Ok(()),
        missed => Err(ForwardError::Missed(missed)),
    }
}

fn write(options: &ForwardOptions, report: &impl Serialize) -> Result<(), ForwardError> {
    let default_path = || options.out.join("report.json");
    let path = options.report.clone().unwrap_or_else(default_path);
    let failed = |source| ForwardError::Write {
        path: path.clone(),
        source,
    };
    let json = serde_json::to_string_pretty(report).map_err(|e| failed(e.into()))?;
    std::fs::write(&path, json + "\n").map_err(failed)?;
    println!("The report is {}.", path.display());
    Ok(())
}
