//! What a [`Service`](crate::Service) is started with. Every field has the default that
//! `config/hive.yaml` documents.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hive_models::Lang;

/// Everything that a service is started with.
#[derive(Clone, Debug, Default)]
pub struct ServiceSettings {
    /// Sockets and peers.
    pub media: MediaSettings,
    /// Limits of rooms.
    pub rooms: RoomSettings,
    /// Stages and their policies.
    pub pipeline: PipelineSettings,
    /// Engines and their assets.
    pub engines: EngineSettings,
    /// Language channels.
    pub channel: ChannelSettings,
    /// The CPU device.
    pub device: DeviceSettings,
    /// Whether [`Service::kill`](crate::Service::kill) works.
    pub chaos: bool,
}

/// Sockets and peers.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// UDP address of the first worker; the others take the following ports (any, for port 0).
    pub bind: SocketAddr,
    /// Whether clients without UDP are served by TCP at the same ports.
    pub tcp: bool,
    /// TCP connections a worker takes from one client address.
    pub tcp_per_client: usize,
    /// Media worker threads.
    pub workers: usize,
    /// Addresses written into answers; empty takes the bound one, or the interfaces'.
    pub advertise: Vec<IpAddr>,
    /// A peer without an authenticated packet for so long is gone.
    pub idle_timeout: Duration,
    /// Peers a worker takes.
    pub max_peers: usize,
    /// Of so many of a room's microphones, the loudest, clients are sent packets.
    pub prominent_speakers: usize,
}

impl Default for MediaSettings {
    fn default() -> Self {
        MediaSettings {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3478),
            tcp: true,
            tcp_per_client: 256,
            workers: 1,
            advertise: Vec::new(),
            idle_timeout: Duration::from_secs(20),
            max_peers: 2500,
            prominent_speakers: 10,
        }
    }
}

/// Limits of rooms.
#[derive(Clone, Debug)]
pub struct RoomSettings {
    /// Rooms that exist at once.
    pub max_rooms: usize,
    /// Participants of one room.
    pub max_participants: usize,
    /// A room to which nobody came is closed after so long without subscribers.
    pub empty_timeout: Duration,
    /// A room that everybody left is closed after so long.
    pub departure_timeout: Duration,
    /// Whether LiveKit's clients make a room by joining it.
    pub auto_create: bool,
    /// Whether the room service may unmute a track.
    pub remote_unmute: bool,
}

impl Default for RoomSettings {
    fn default() -> Self {
        RoomSettings {
            max_rooms: 1000,
            max_participants: 1000,
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            auto_create: true,
            remote_unmute: false,
        }
    }
}

/// Stages and their policies.
#[derive(Clone, Debug, Default)]
pub struct PipelineSettings {
    /// When speech begins and ends.
    pub vad: VadSettings,
    /// How audio is given to the recogniser and when words are committed.
    pub stt: SttSettings,
    /// How long utterances are cut for translation.
    pub clause: ClauseSettings,
    /// When the interpreter falls silent for the speaker.
    pub barge_in: BargeInSettings,
    /// How fast the interpreter speaks.
    pub speech: SpeechSettings,
}

/// When speech begins and ends.
#[derive(Clone, Debug)]
pub struct VadSettings {
    /// Probability from which a window counts as speech.
    pub threshold: f32,
    /// Silence that ends an utterance.
    pub silence: Duration,
    /// Speech that it takes to begin one.
    pub min_speech: Duration,
    /// Audio before the first speech window that belongs to the utterance.
    pub pre_roll: Duration,
    /// An utterance is cut at this length whatever is said.
    pub max_utterance: Duration,
}

impl Default for VadSettings {
    fn default() -> Self {
        VadSettings {
            threshold: 0.5,
            silence: Duration::from_millis(160),
            min_speech: Duration::from_millis(64),
            pre_roll: Duration::from_millis(256),
            max_utterance: Duration::from_secs(20),
        }
    }
}

/// How audio is given to the recogniser and when words are committed.
#[derive(Clone, Debug)]
pub struct SttSettings {
    /// Audio between two partials, rounded to whole VAD windows of 32 ms.
    pub step: Duration,
    /// Audio after a word's end before the word may be committed.
    pub hold: Duration,
}

impl Default for SttSettings {
    fn default() -> Self {
        SttSettings {
            step: Duration::from_millis(96),
            hold: Duration::from_millis(500),
        }
    }
}

/// How long utterances are cut for translation.
#[derive(Clone, Debug)]
pub struct ClauseSettings {
    /// Words after which a clause is cut; one or two more that end the utterance stay with it.
    pub max_words: usize,
    /// A clause may end at a pause or before a conjunction once it has so many words.
    pub min_words: usize,
    /// Silence between two words that counts as a pause.
    pub pause: Duration,
}

impl Default for ClauseSettings {
    fn default() -> Self {
        ClauseSettings {
            max_words: 20,
            min_words: 14,
            pause: Duration::from_millis(200),
        }
    }
}

/// When the interpreter falls silent for the speaker.
#[derive(Clone, Debug)]
pub struct BargeInSettings {
    /// Whether at all.
    pub enabled: bool,
    /// When a speaker begins to speak, clauses of theirs whose source ended longer ago than this
    /// are cancelled.
    pub stale_after: Duration,
}

impl Default for BargeInSettings {
    fn default() -> Self {
        BargeInSettings {
            enabled: true,
            stale_after: Duration::from_millis(600),
        }
    }
}

/// How fast the interpreter speaks.
#[derive(Clone, Debug)]
pub struct SpeechSettings {
    /// Words a minute without a backlog.
    pub rate: u16,
    /// Words a minute that a backlog may speed up to.
    pub max_rate: u16,
    /// Backlog at which `max_rate` is reached.
    pub full_speed_at: Duration,
}

impl SpeechSettings {
    /// Words a minute for a clause of a speaker of whom `backlog` seconds wait to be spoken.
    pub(crate) fn rate_for(&self, backlog: f64) -> u16 {
        let share = (backlog / self.full_speed_at.as_secs_f64().max(0.1)).clamp(0.0, 1.0);
        // In quarters, as a synthesiser kept ready for one rate is no use for another.
        let share = (share * 4.0).floor() / 4.0;
        let (rate, max) = (
            f64::from(self.rate),
            f64::from(self.max_rate.max(self.rate)),
        );
        (rate + (max - rate) * share).round() as u16
    }
}

impl Default for SpeechSettings {
    fn default() -> Self {
        SpeechSettings {
            rate: 175,
            max_rate: 280,
            full_speed_at: Duration::from_secs(4),
        }
    }
}

/// Engines and their assets.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Where `scripts/setup` put PocketSphinx and Silero.
    pub assets: PathBuf,
    /// Decoders of PocketSphinx (97 MB each); at most so many people are recognised at once.
    pub decoders: usize,
    /// Apertium process groups a direction (110 MB each).
    pub apertium_children: usize,
    /// eSpeak NG processes.
    pub espeak_children: usize,
    /// eSpeak NG voice of a language, where not the engine's default one.
    pub voices: BTreeMap<Lang, String>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        EngineSettings {
            assets: PathBuf::from(".deps"),
            decoders: 3,
            apertium_children: 2,
            espeak_children: 2,
            voices: BTreeMap::new(),
        }
    }
}

/// Language channels.
#[derive(Clone, Debug)]
pub struct ChannelSettings {
    /// Gain of a speaker's floor while the interpreter speaks for them, dB.
    pub duck_db: f32,
    /// Opus bit rate, bits a second.
    pub bitrate: i32,
    /// Loss that the in-band FEC is made for, per cent.
    pub expected_loss: u8,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        ChannelSettings {
            duck_db: -14.0,
            bitrate: 40_000,
            expected_loss: 5,
        }
    }
}

/// The CPU device.
#[derive(Clone, Debug)]
pub struct DeviceSettings {
    /// Compute threads; 0 takes the machine's cores.
    pub threads: usize,
    /// Largest batch.
    pub batch_max: usize,
    /// How long a request may wait for others to share its batch.
    pub batch_wait: Duration,
    /// Models kept loaded at once.
    pub resident_cap: usize,
    /// A model unused for so long is unloaded.
    pub ttl: Duration,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        DeviceSettings {
            threads: 0,
            batch_max: 16,
            batch_wait: Duration::from_millis(2),
            resident_cap: 4,
            ttl: Duration::from_secs(600),
        }
    }
}
