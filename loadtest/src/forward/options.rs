//! What the benchmark can be asked to do.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

/// Options of `hive-loadtest forward`; they are repeated in its report.
#[derive(Debug, Clone, Args, Serialize)]
pub struct ForwardOptions {
    /// Rooms, each with one speaker.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub rooms: u16,
    /// Listeners a room.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub listeners: u16,
    /// Seconds measured, after everybody is connected and warm.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub seconds: u16,
    /// Packets a second that a speaker sends.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pps: u16,
    /// Bytes of payload a packet.
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u16).range(16..=1100))]
    pub bytes: u16,
    /// Where the figures go as JSON instead of DIR/report.json.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Directory for the report and the server's configuration and log.
    #[arg(long, default_value = "demo-out/forward", value_name = "DIR")]
    pub out: PathBuf,
    /// The `hive` binary; by default the one beside this program.
    #[arg(long, value_name = "FILE", env = crate::server::BINARY_VARIABLE)]
    #[serde(skip)]
    pub server: Option<PathBuf>,
    /// Directory of the server's models.
    #[arg(long, default_value = ".deps", value_name = "DIR")]
    #[serde(skip)]
    pub assets: PathBuf,
}
