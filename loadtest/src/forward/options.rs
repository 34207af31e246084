//! What the benchmark can be asked to do.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// Rooms of one speaker each, who never pauses.
    Audio,
    /// A room of 500 listeners and 10 speakers. They take turns; who does not talk sends comfort noise.
    Crowd,
    /// Rooms of one camera in three layers each, and subscribers over LiveKit who want different ones.
    Video,
}

/// How speakers and listeners join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// One request each, WHIP and WHEP.
    Whip,
    /// LiveKit's signalling: each is told of everybody else, and offers again as tracks come.
    Livekit,
}

/// Options of `hive-loadtest forward`; they are repeated in its report.
#[derive(Debug, Clone, Args, Serialize)]
pub struct ForwardOptions {
    /// What is measured.
    #[arg(long, value_enum, default_value = "audio")]
    pub case: Case,
    /// How they join; the video case always goes over LiveKit's signalling.
    #[arg(long, value_enum, default_value = "whip")]
    pub protocol: Protocol,
    /// Rooms [default: 10 for audio, 1 for crowd, 4 for video].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub rooms: Option<u16>,
    /// Listeners, or subscribers, a room [default: 9, or 500 for crowd].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub listeners: Option<u16>,
    /// Speakers a room, each in a section of its own for every listener [default: 1, or 10 for crowd].
    /// A video room has one camera.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub speakers: Option<u16>,
    /// Speakers of a crowd who talk at a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub talking: u16,
    /// Seconds measured, after everybody is connected and warm.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub seconds: u16,
    /// Packets a second that a speaker sends while talking.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pps: u16,
    /// Bytes of payload a packet of audio.
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u16).range(16..=1100))]
    pub bytes: u16,
    /// Fail when a target is missed.
    #[arg(long)]
    pub check: bool,
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

impl ForwardOptions {
    /// Rooms.
    pub fn rooms(&self) -> u16 {
        self.rooms.unwrap_or(match self.case {
            Case::Audio => 10,
            Case::Crowd => 1,
            Case::Video => 4,
        })
    }

    /// Listeners a room.
    pub fn listeners(&self) -> u16 {
        self.listeners.unwrap_or(match self.case {
            Case::Crowd => 500,
            Case::Audio | Case::Video => 9,
        })
    }

    /// Speakers a room.
    pub fn speakers(&self) -> u16 {
        match self.case {
            Case::Video => 1,
            Case::Audio => self.speakers.unwrap_or(1),
            Case::Crowd => self.speakers.unwrap_or(10),
        }
    }

    /// Everybody.
    pub fn peers(&self) -> u64 {
        u64::from(self.rooms()) * (u64::from(self.speakers()) + u64::from(self.listeners()))
    }
}
