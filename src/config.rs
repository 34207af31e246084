//! Configuration: one YAML file, overridden by the environment.
//!
//! `config/hive.yaml` explains every key and shows its default. A key that does not exist, or whose value
//! has the wrong shape, stops the start with its path (`http.rate.burst`), and names the environment
//! variable if it came from one.

mod auth;
mod check;
mod duration;
mod engines;
mod env;
mod http;
mod load;
mod log;
mod media;
mod pipeline;
mod rooms;
mod secret;
mod settings;
mod turn;
mod webhook;

pub use auth::{Auth, SHORTEST_SECRET};
pub use check::Complaint;
pub use duration::parse as parse_duration;
pub use engines::{Apertium, Channel, Cpu, Device, Engines, Espeak, Pocketsphinx};
pub use env::VARIABLE_PREFIX;
pub use http::{Cors, Events, Http, Rate, RoomServiceLimits, Signal};
pub use load::{LoadConfigError, load, parse};
pub use log::{Chaos, Log, LogFormat};
pub use media::Media;
pub use pipeline::{BargeIn, Clause, Pipeline, Speech, Stt, Vad};
pub use rooms::Rooms;
pub use secret::Secret;
pub use turn::{ExternalTurn, RelayPorts, Turn};
pub use webhook::{InvalidReceiver, Webhook, parse_receiver};

use serde::{Deserialize, Serialize};

/// The whole configuration. `Default` is what an empty file means.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The front door.
    pub http: Http,
    /// RTP.
    pub media: Media,
    /// A relay for clients that cannot reach the media workers.
    pub turn: Turn,
    /// Keys and tokens.
    pub auth: Auth,
    /// Rooms and their limits.
    pub rooms: Rooms,
    /// From speech to captions.
    pub pipeline: Pipeline,
    /// The engines that recognise, translate and speak.
    pub engines: Engines,
    /// How a language channel is mixed.
    pub channel: Channel,
    /// Devices that run models.
    pub device: Device,
    /// Who is told what happens to rooms.
    pub webhook: Webhook,
    /// Logging.
    pub log: Log,
    /// Fault injection.
    pub chaos: Chaos,
}
