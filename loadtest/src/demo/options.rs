//! What the demo can be asked to do.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::link::{LinkSettings, RateSchedule};

/// Options of `hive-loadtest demo`; they are repeated in `report.json`.
#[derive(Debug, Clone, Args, Serialize)]
pub struct DemoOptions {
    /// Speech of your own instead of the dialogue: a WAV file (any rate; the whole file is one
    /// speaker). Needs --text.
    #[arg(long, value_name = "FILE", requires = "text")]
    pub wav: Option<PathBuf>,
    /// What is said in --wav, as plain text; its word times are found by forced alignment.
    #[arg(long, value_name = "FILE", requires = "wav")]
    pub text: Option<PathBuf>,
    /// Speakers in the dialogue, each with a voice of their own.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub speakers: u8,
    /// Share of packets that each link loses, each way.
    #[arg(long, default_value_t = 0.02, value_name = "SHARE", value_parser = share)]
    pub loss: f64,
    /// Mean length of a burst of losses, packets; 1 makes losses independent.
    #[arg(long, default_value_t = 1.0, value_name = "PACKETS", value_parser = burst)]
    pub burst: f64,
    /// Fixed one-way delay of each link, ms.
    #[arg(long, default_value_t = 60.0, value_name = "MS", value_parser = milliseconds)]
    pub delay: f64,
    /// Jitter of each link: delays vary by up to this much either way, ms.
    #[arg(long, default_value_t = 30.0, value_name = "MS", value_parser = milliseconds)]
    pub jitter: f64,
    /// Share of packets overtaken by later ones.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub reorder: f64,
    /// Share of packets that arrive twice.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub duplicate: f64,
    /// Share of packets that arrive cut short or with a byte changed.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    pub corrupt: f64,
    /// Capacity of each link each way, bits a second: 3M, 300k, or a schedule such as
    /// 3M@0s,300k@20s,3M@40s. Without it links have no limit.
    #[arg(long, value_name = "RATE")]
    pub rate: Option<RateSchedule>,
    /// Longest that a packet waits at a link's limited rate before it is dropped, ms.
    #[arg(long, default_value_t = 300.0, value_name = "MS", value_parser = milliseconds)]
    pub queue: f64,
    /// Seed of links, room tone and chaos: the same seed, the same dice.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Kill a random pipeline stage every two seconds.
    #[arg(long)]
    pub chaos: bool,
    /// Leave the human LibriVox clips out.
    #[arg(long)]
    pub no_librivox: bool,
    /// Directory for the recordings, the captions and the report.
    #[arg(long, default_value = "demo-out", value_name = "DIR")]
    pub out: PathBuf,
    /// Where the report goes instead of DIR/report.json.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The `hive` binary; by default the one beside this program.
    #[arg(long, value_name = "FILE", env = crate::server::BINARY_VARIABLE)]
    #[serde(skip)]
    pub server: Option<PathBuf>,
    /// Directory of PocketSphinx and the other models, for the server and for the aligner.
    #[arg(long, default_value = ".deps", value_name = "DIR")]
    #[serde(skip)]
    pub assets: PathBuf,
    /// The server's log level (its log is DIR/server/server.log).
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    #[serde(skip)]
    pub server_log: String,
}

impl DemoOptions {
    /// The links that the options describe.
    pub fn link(&self) -> LinkSettings {
        LinkSettings {
            loss: self.loss,
            burst: self.burst,
            delay_ms: self.delay,
            jitter_ms: self.jitter,
            reorder: self.reorder,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            rate_up: self.rate,
            rate_down: self.rate,
            queue_ms: self.queue,
            seed: self.seed,
        }
    }

    /// Where the report goes.
    pub fn report_path(&self) -> PathBuf {
        self.report
            .clone()
            .unwrap_or_else(|| self.out.join("report.json"))
    }
}

fn number(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err("not a finite number".to_owned())
    }
}

pub(crate) fn share(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..=0.9).contains(&value) {
        Ok(value)
    } else {
        Err("a share between 0 and 0.9, e.g. 0.02 for 2 %".to_owned())
    }
}

fn burst(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (1.0..=100.0).contains(&value) {
        Ok(value)
    } else {
        Err("a mean burst length between 1 and 100 packets".to_owned())
    }
}

pub(crate) fn milliseconds(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..=5000.0).contains(&value) {
        Ok(value)
    } else {
        Err("between 0 and 5000 ms".to_owned())
    }
}
