//! `engines`, `channel`, `device`: what recognises, translates and speaks, the mix, and what runs models.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use hive_actors::settings::{ChannelSettings, DeviceSettings, EngineSettings};
use hive_models::Lang;
use serde::{Deserialize, Serialize};

/// `engines`: what recognises, translates and speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Engines {
    /// Directory in which `scripts/setup` put PocketSphinx's model and Silero.
    pub assets: PathBuf,
    /// PocketSphinx.
    pub pocketsphinx: Pocketsphinx,
    /// Apertium.
    pub apertium: Apertium,
    /// eSpeak NG.
    pub espeak: Espeak,
}

impl Default for Engines {
    fn default() -> Self {
        Self {
            assets: EngineSettings::default().assets,
            pocketsphinx: Pocketsphinx::default(),
            apertium: Apertium::default(),
            espeak: Espeak::default(),
        }
    }
}

/// `engines.pocketsphinx`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pocketsphinx {
    /// Decoders, 97 MB each: people who are recognised at once.
    pub decoders: usize,
}

impl Default for Pocketsphinx {
    fn default() -> Self {
        Self {
            decoders: EngineSettings::default().decoders,
        }
    }
}

/// `engines.apertium`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Apertium {
    /// Process groups a direction, 110 MB each.
    pub children: usize,
}

impl Default for Apertium {
    fn default() -> Self {
        Self {
            children: EngineSettings::default().apertium_children,
        }
    }
}

/// `engines.espeak`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Espeak {
    /// Processes: clauses that are spoken at once.
    pub children: usize,
    /// Voice of a language, where not the engine's default.
    pub voices: BTreeMap<Lang, String>,
}

impl Default for Espeak {
    fn default() -> Self {
        let EngineSettings {
            espeak_children,
            voices,
            ..
        } = EngineSettings::default();
        Self {
            children: espeak_children,
            voices,
        }
    }
}

/// `channel`: the mix of a language channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channel {
    /// Gain of a speaker's floor while the interpreter speaks for them, in dB.
    pub duck_db: f32,
    /// Opus bit rate, in bits a second.
    pub bitrate: i32,
    /// Loss that in-band FEC is made for, in per cent.
    pub expected_loss: u8,
}

impl Default for Channel {
    fn default() -> Self {
        let ChannelSettings {
            duck_db,
            bitrate,
            expected_loss,
        } = ChannelSettings::default();
        Self {
            duck_db,
            bitrate,
            expected_loss,
        }
    }
}

/// `device`: what runs models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    /// The CPU.
    pub cpu: Cpu,
}

/// `device.cpu`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cpu {
    /// Compute threads; 0 is one a core.
    pub threads: usize,
    /// Largest batch.
    pub batch_max: usize,
    /// Time for which a request waits for company.
    #[serde(with = "super::duration")]
    pub batch_wait: Duration,
    /// Models kept loaded.
    pub resident_cap: usize,
    /// Time after which an unused model is unloaded.
    #[serde(with = "super::duration")]
    pub ttl: Duration,
}

impl Default for Cpu {
    fn default() -> Self {
        let DeviceSettings {
            threads,
            batch_max,
            batch_wait,
            resident_cap,
            ttl,
        } = DeviceSettings::default();
        Self {
            threads,
            batch_max,
            batch_wait,
            resident_cap,
            ttl,
        }
    }
}
