//! `pipeline`: the policies by which speech is cut, recognised, translated and spoken.
//!
//! The defaults are the service's own (`hive_actors::settings`), so they are written down once.

use std::time::Duration;

use hive_actors::settings::{
    BargeInSettings, ClauseSettings, SpeechSettings, SttSettings, VadSettings,
};
use serde::{Deserialize, Serialize};

use super::{Complaint, Config};

/// `pipeline`: the policies of the stages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pipeline {
    /// When speech begins and ends.
    pub vad: Vad,
    /// When words are shown and committed.
    pub stt: Stt,
    /// How utterances are cut for translation.
    pub clause: Clause,
    /// When the interpreter falls silent for the speaker.
    pub barge_in: BargeIn,
    /// How fast the interpreter speaks.
    pub speech: Speech,
}

/// `pipeline.vad`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vad {
    /// Probability from which a 32 ms window counts as speech, 0 to 1.
    pub threshold: f32,
    /// Silence that ends an utterance.
    #[serde(with = "super::duration")]
    pub silence: Duration,
    /// Speech that it takes to begin an utterance.
    #[serde(with = "super::duration")]
    pub min_speech: Duration,
    /// Audio before the first speech window that belongs to the utterance.
    #[serde(with = "super::duration")]
    pub pre_roll: Duration,
    /// Length at which an utterance is cut.
    #[serde(with = "super::duration")]
    pub max_utterance: Duration,
}

impl Default for Vad {
    fn default() -> Self {
        let VadSettings {
            threshold,
            silence,
            min_speech,
            pre_roll,
            max_utterance,
        } = VadSettings::default();
        Self {
            threshold,
            silence,
            min_speech,
            pre_roll,
            max_utterance,
        }
    }
}

/// `pipeline.stt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stt {
    /// Audio between two partial captions.
    #[serde(with = "super::duration")]
    pub step: Duration,
    /// Audio after a word's end before the word may be committed.
    #[serde(with = "super::duration")]
    pub hold: Duration,
}

impl Default for Stt {
    fn default() -> Self {
        let SttSettings { step, hold } = SttSettings::default();
        Self { step, hold }
    }
}

/// `pipeline.clause`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clause {
    /// Words after which a clause is cut; one or two more that end the utterance stay with it.
    pub max_words: usize,
    /// Words from which a clause may end at a pause or before a conjunction.
    pub min_words: usize,
    /// Silence between two words that counts as a pause.
    #[serde(with = "super::duration")]
    pub pause: Duration,
}

impl Default for Clause {
    fn default() -> Self {
        let ClauseSettings {
            max_words,
            min_words,
            pause,
        } = ClauseSettings::default();
        Self {
            max_words,
            min_words,
            pause,
        }
    }
}

/// `pipeline.barge_in`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BargeIn {
    /// Whether a speaker who starts again silences their stale interpreter audio.
    pub enabled: bool,
    /// Age of a clause's source from which it counts as stale.
    #[serde(with = "super::duration")]
    pub stale_after: Duration,
}

impl Default for BargeIn {
    fn default() -> Self {
        let BargeInSettings {
            enabled,
            stale_after,
        } = BargeInSettings::default();
        Self {
            enabled,
            stale_after,
        }
    }
}

/// `pipeline.speech`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Speech {
    /// Words a minute without a backlog.
    pub rate: u16,
    /// Words a minute that a backlog may speed up to.
    pub max_rate: u16,
    /// Backlog at which `max_rate` is reached.
    #[serde(with = "super::duration")]
    pub full_speed_at: Duration,
}

impl Default for Speech {
    fn default() -> Self {
        let SpeechSettings {
            rate,
            max_rate,
            full_speed_at,
        } = SpeechSettings::default();
        Self {
            rate,
            max_rate,
            full_speed_at,
        }
    }
}

impl Config {
    pub(super) fn pipeline_complaints(&self) -> Vec<Complaint> {
        let (vad, clause, speech) = (
            &self.pipeline.vad,
            &self.pipeline.clause,
            &self.pipeline.speech,
        );
        let wrong = [
            (
                !(0.0..=1.0).contains(&vad.threshold),
                "pipeline.vad.threshold",
                "must be between 0 and 1",
            ),
            (
                vad.silence.is_zero(),
                "pipeline.vad.silence",
                "must be longer than nothing",
            ),
            (
                vad.max_utterance <= vad.min_speech,
                "pipeline.vad.max_utterance",
                "must be longer than pipeline.vad.min_speech",
            ),
            (
                self.pipeline.stt.step.is_zero(),
                "pipeline.stt.step",
                "must be longer than nothing",
            ),
            (
                clause.max_words == 0,
                "pipeline.clause.max_words",
                "must be at least 1",
            ),
            (
                clause.min_words > clause.max_words,
                "pipeline.clause.min_words",
                "must not be more than pipeline.clause.max_words",
            ),
            (
                self.engines.pocketsphinx.decoders == 0,
                "engines.pocketsphinx.decoders",
                "must be at least 1",
            ),
            (
                self.engines.apertium.children == 0,
                "engines.apertium.children",
                "must be at least 1",
            ),
            (
                self.engines.espeak.children == 0,
                "engines.espeak.children",
                "must be at least 1",
            ),
            (
                !(80..=450).contains(&speech.rate),
                "pipeline.speech.rate",
                "must be between 80 and 450, which eSpeak NG can speak",
            ),
            (
                speech.max_rate < speech.rate || speech.max_rate > 450,
                "pipeline.speech.max_rate",
                "must be between pipeline.speech.rate and 450",
            ),
            (
                !(-60.0..=0.0).contains(&self.channel.duck_db),
                "channel.duck_db",
                "must be between -60 (silent) and 0 (not ducked)",
            ),
            (
                !(6_000..=510_000).contains(&self.channel.bitrate),
                "channel.bitrate",
                "must be between 6000 and 510000, Opus's range (RFC 6716)",
            ),
            (
                self.channel.expected_loss > 100,
                "channel.expected_loss",
                "is a percentage",
            ),
            (
                self.device.cpu.batch_max == 0,
                "device.cpu.batch_max",
                "must be at least 1",
            ),
            (
                self.device.cpu.resident_cap == 0,
                "device.cpu.resident_cap",
                "must be at least 1",
            ),
        ];
        wrong
            .into_iter()
            .filter(|(wrong, ..)| *wrong)
            .map(|(_, path, advice)| Complaint {
                path: path.to_owned(),
                advice: advice.to_owned(),
            })
            .collect()
    }
}
