//! From the file's layout to what the service is started with.

use hive_actors::settings::{
    BargeInSettings, ChannelSettings, ClauseSettings, DeviceSettings, EngineSettings,
    MediaSettings, PipelineSettings, RoomSettings, ServiceSettings, SpeechSettings, SttSettings,
    VadSettings,
};

use super::{Config, Engines, Media, Pipeline};

impl From<&Config> for ServiceSettings {
    fn from(config: &Config) -> Self {
        Self {
            media: media(&config.media),
            rooms: RoomSettings {
                max_rooms: config.rooms.max_rooms,
                max_participants: config.rooms.max_participants,
                empty_timeout: config.rooms.empty_timeout,
                departure_timeout: config.rooms.departure_timeout,
                auto_create: config.rooms.auto_create,
                remote_unmute: config.rooms.remote_unmute,
            },
            pipeline: pipeline(&config.pipeline),
            engines: engines(&config.engines),
            channel: ChannelSettings {
                duck_db: config.channel.duck_db,
                bitrate: config.channel.bitrate,
                expected_loss: config.channel.expected_loss,
            },
            device: DeviceSettings {
                threads: config.device.cpu.threads,
                batch_max: config.device.cpu.batch_max,
                batch_wait: config.device.cpu.batch_wait,
                resident_cap: config.device.cpu.resident_cap,
                ttl: config.device.cpu.ttl,
            },
            chaos: config.chaos.enabled,
        }
    }
}

fn media(media: &Media) -> MediaSettings {
    MediaSettings {
        bind: media.bind,
        tcp: media.tcp,
        tcp_per_client: media.tcp_per_client,
        workers: media.workers,
        advertise: media.advertise.clone(),
        idle_timeout: media.idle_timeout,
        max_peers: media.max_peers,
        prominent_speakers: media.prominent_speakers,
    }
}

fn pipeline(pipeline: &Pipeline) -> PipelineSettings {
    let Pipeline {
        vad,
        stt,
        clause,
        barge_in,
        speech,
    } = pipeline;
    PipelineSettings {
        vad: VadSettings {
            threshold: vad.threshold,
            silence: vad.silence,
            min_speech: vad.min_speech,
            pre_roll: vad.pre_roll,
            max_utterance: vad.max_utterance,
        },
        stt: SttSettings {
            step: stt.step,
            hold: stt.hold,
        },
        clause: ClauseSettings {
            max_words: clause.max_words,
            min_words: clause.min_words,
            pause: clause.pause,
        },
        barge_in: BargeInSettings {
            enabled: barge_in.enabled,
            stale_after: barge_in.stale_after,
        },
        speech: SpeechSettings {
            rate: speech.rate,
            max_rate: speech.max_rate,
            full_speed_at: speech.full_speed_at,
        },
    }
}

fn engines(engines: &Engines) -> EngineSettings {
    EngineSettings {
        assets: engines.assets.clone(),
        decoders: engines.pocketsphinx.decoders,
        apertium_children: engines.apertium.children,
        espeak_children: engines.espeak.children,
        voices: engines.espeak.voices.clone(),
    }
}

#[cfg(test)]
mod tests {
    use hive_actors::settings::ServiceSettings;

    use crate::config::Config;

    #[test]
    fn the_default_configuration_is_the_services_default() {
        assert_eq!(
            format!("{:?}", ServiceSettings::from(&Config::default())),
            format!("{:?}", ServiceSettings::default())
        );
    }
}
