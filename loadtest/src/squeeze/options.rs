//! What a squeeze can be asked to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::demo::options::{milliseconds, share};
use crate::link::rate::{ParseRateError, parse_rate};
use crate::link::{LinkSettings, RateSchedule};

/// Options of `hive-loadtest simulcast`; they are repeated in its report.
#[derive(Debug, Clone, Args, Serialize)]
pub struct SqueezeOptions {
    /// What the subscriber's link carries each way, first and last, bits a second.
    #[arg(long, default_value = "3M", value_name = "RATE", value_parser = parse_rate)]
    pub rate: u64,
    /// What it carries while it is squeezed.
    #[arg(long, default_value = "300k", value_name = "RATE", value_parser = parse_rate)]
    pub squeezed: u64,
    /// Seconds before the cut, from the first picture on.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
    pub before: u16,
    /// Seconds that the cut lasts.
    #[arg(long, default_value_t = 15, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
    pub during: u16,
    /// Seconds after it.
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
    pub after: u16,
    /// Longest that a packet waits at the limited rate before it is dropped, ms.
    #[arg(long, default_value_t = 300.0, value_name = "MS", value_parser = milliseconds)]
    pub queue: f64,
    /// Fixed one-way delay of the subscriber's link, ms.
    #[arg(long, default_value_t = 25.0, value_name = "MS", value_parser = milliseconds)]
    pub delay: f64,
    /// Jitter of the link: delays vary by up to this much either way, ms.
    #[arg(long, default_value_t = 2.0, value_name = "MS", value_parser = milliseconds)]
    pub jitter: f64,
    /// Share of packets that the link loses besides those that its queue drops.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub loss: f64,
    /// Seed of the link and of the pictures' sizes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Fail when a target is missed.
    #[arg(long)]
    pub check: bool,
    /// Where the figures go as JSON instead of DIR/report.json.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Directory for the report and the server's configuration and log.
    #[arg(long, default_value = "demo-out/simulcast", value_name = "DIR")]
    pub out: PathBuf,
    /// The `hive` binary; by default the one beside this program.
    #[arg(long, value_name = "FILE", env = crate::server::BINARY_VARIABLE)]
    #[serde(skip)]
    pub server: Option<PathBuf>,
    /// Directory of the server's models.
    #[arg(long, default_value = ".deps", value_name = "DIR")]
    #[serde(skip)]
    pub assets: PathBuf,
    /// The server's log level (its log is DIR/server.log).
    #[arg(long, default_value = "warn", value_name = "LEVEL")]
    #[serde(skip)]
    pub server_log: String,
}

impl SqueezeOptions {
    /// When the cut comes and when it ends, from the start of the schedule.
    pub(super) fn moments(&self) -> (Duration, Duration, Duration) {
        let seconds = |s: u16| Duration::from_secs(s.into());
        let cut = seconds(self.before);
        let restored = cut + seconds(self.during);
        (cut, restored, restored + seconds(self.after))
    }

    /// The subscriber's link.
    pub(super) fn link(&self) -> Result<LinkSettings, ParseRateError> {
        let (cut, restored, _) = self.moments();
        let rate = RateSchedule::constant(self.rate)
            .then(cut, self.squeezed)?
            .then(restored, self.rate)?;
        Ok(LinkSettings {
            loss: self.loss,
            delay_ms: self.delay,
            jitter_ms: self.jitter,
            queue_ms: self.queue,
            rate_up: Some(rate),
            rate_down: Some(rate),
            seed: self.seed,
            ..LinkSettings::ideal()
        })
    }
}
