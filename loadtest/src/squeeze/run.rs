//! A squeeze from the first join to the table.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::options::SqueezeOptions;
use super::publisher::{Publishing, publish};
use super::score::{Figures, Moments, score};
use super::subscriber::Subscriber;
use super::table::{TOP, rows, timeline};
use crate::link::LinkSettings;
use crate::link::rate::ParseRateError;
use crate::livekit::{JoinOptions, LivekitError, Participant};
use crate::peer::{Role, Signalling};
use crate::score::table;
use crate::server::{HiveProcess, ServerSettings, StartServerError};

/// Longest wait for the first picture of the top layer.
const FIRST_PICTURE: Duration = Duration::from_secs(20);

/// Where it takes place.
const ROOM: &str = "squeeze";

/// Why a squeeze has no figures, or not those that it should.
#[derive(Debug, thiserror::Error)]
pub enum SqueezeError {
    /// The server is not there.
    #[error(transparent)]
    Server(#[from] StartServerError),
    /// The schedule is impossible.
    #[error(transparent)]
    Rate(#[from] ParseRateError),
    /// A participant dropped out.
    #[error("the {who} failed: {source}; the server's log is {}", log.display())]
    Participant {
        /// Publisher or subscriber.
        who: &'static str,
        /// Why.
        source: LivekitError,
        /// Where to look further.
        log: PathBuf,
    },
    /// There was nothing to squeeze.
    #[error("no picture of the top layer came within 20 s; the server's log is {}", .0.display())]
    NoPicture(PathBuf),
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

/// The report.
#[derive(Debug, Clone, Serialize)]
pub struct SqueezeReport {
    /// The figures.
    pub figures: Figures,
    /// Keyframes that the server asked the publisher for.
    pub keyframes_wanted: u64,
    /// The options.
    pub options: SqueezeOptions,
}

/// Squeeze a subscriber of a server that is started for it; the table goes to standard output.
///
/// # Errors
///
/// See [`SqueezeError`]; each says what to do.
pub async fn run(options: &SqueezeOptions) -> Result<SqueezeReport, SqueezeError> {
    let server = HiveProcess::start(&ServerSettings {
        binary: options.server.clone(),
        assets: std::path::absolute(&options.assets).unwrap_or_else(|_| options.assets.clone()),
        directory: options.out.clone(),
        chaos: false,
        decoders: 1,
        max_peers: 10,
        log_level: options.server_log.clone(),
    })
    .await?;
    println!(
        "A camera in three layers and a microphone; the subscriber's link carries {} kbit/s, after {} s \
         {} kbit/s for {} s, then {} kbit/s again.",
        options.rate / 1000,
        options.before,
        options.squeezed / 1000,
        options.during,
        options.rate / 1000,
    );
    let report = squeeze(&server.signalling(), options, server.log().to_owned()).await?;
    server.stop().await;
    let rows = rows(&report.figures, options);
    println!("Shown: {}.", timeline(&report.figures));
    print!("{}", table::render("Simulcast over a squeezed link", &rows));
    let default_path = || options.out.join("report.json");
    let path = options.report.clone().unwrap_or_else(default_path);
    let write = |source| SqueezeError::Write {
        path: path.clone(),
        source,
    };
    let json = serde_json::to_string_pretty(&report).map_err(|e| write(e.into()))?;
    std::fs::write(&path, json + "\n").map_err(write)?;
    println!("The report is {}.", path.display());
    let missed = table::missed(&rows);
    if options.check && missed > 0 {
        return Err(SqueezeError::Missed(missed));
    }
    Ok(report)
}

/// Squeeze a subscriber of a running server.
///
/// # Errors
///
/// See [`SqueezeError`].
pub async fn squeeze(
    signalling: &Signalling,
    options: &SqueezeOptions,
    log: PathBuf,
) -> Result<SqueezeReport, SqueezeError> {
    let failed = |who: &'static str| {
        let log = log.clone();
        move |source| SqueezeError::Participant { who, source, log }
    };
    let origin = Instant::now();
    let join = |identity: &str, role, subscribe, link| JoinOptions {
        room: ROOM.to_owned(),
        identity: identity.to_owned(),
        role,
        subscribe,
        link,
    };
    let publisher = join("publisher", Role::Speaker, false, LinkSettings::ideal());
    let publisher = Participant::join(signalling, &publisher)
        .await
        .map_err(failed("publisher"))?;
    let publishing = Arc::new(Publishing::default());
    let mut publisher = tokio::spawn(publish(publisher, origin, options.seed, publishing.clone()));

    let joined = Instant::now();
    let subscriber = join("subscriber", Role::Listener, true, options.link()?);
    let subscriber = Participant::join(signalling, &subscriber)
        .await
        .map_err(failed("subscriber"))?;
    let mut subscriber = Subscriber::new(subscriber, options.link()?.delay(), origin);
    let watch = async {
        let deadline = Instant::now() + FIRST_PICTURE;
        subscriber.receive(deadline, Some(TOP)).await?;
        if subscriber.recording.shown.is_empty() {
            return Ok(None);
        }
        let start = Instant::now();
        subscriber.start_schedule(start);
        let (cut, restored, end) = options.moments();
        subscriber.receive(start + end, None).await?;
        Ok(Some(Moments {
            origin,
            start,
            cut: start + cut,
            restored: start + restored,
            end: start + end,
        }))
    };
    let moments = tokio::select! {
        moments = watch => moments.map_err(failed("subscriber"))?,
        ended = &mut publisher => {
            let why = ended.unwrap_or(Err(LivekitError::Lost)).err();
            return Err(failed("publisher")(why.unwrap_or(LivekitError::Lost)));
        }
    };
    let moments = moments.ok_or_else(|| SqueezeError::NoPicture(log.clone()))?;
    publishing.stop.store(true, Ordering::Relaxed);
    publisher
        .await
        .unwrap_or(Err(LivekitError::Lost))
        .map_err(failed("publisher"))?;
    let recording = subscriber.leave();
    Ok(SqueezeReport {
        figures: score(&recording, &moments, joined),
        keyframes_wanted: publishing.keyframes_wanted.load(Ordering::Relaxed),
        options: options.clone(),
    })
}
