//! One stream to a listener.

use std::time::Instant;

use super::playing::Playing;
use super::track::Track;
use crate::rtp::OPUS_CLOCK;
use crate::rtp::forward::Forwarder;
use crate::sdp::formats::VideoFormat;
use crate::sdp::section::{Section, SectionKind};
use crate::video::codec::VIDEO_CLOCK;
use crate::video::forward::VideoForwarder;
use crate::video::layers::Layer;

/// See the [module](self).
pub(super) struct Slot {
    /// Index of the media section that carries it.
    pub(super) section: usize,
    pub(super) stream: Stream,
    pub(super) track: Option<usize>,
    /// Whether the listener may ask for packets again.
    pub(super) nack: bool,
    pub(super) reported: bool,
    pub(super) lost: i64,
    pub(super) jitter: u32,
    /// Stream and track ids of `a=msid`.
    pub(super) msid: (String, String),
    /// Whether the peer's last description has something in the section.
    pub(super) described: bool,
    /// How the listener wants it.
    pub(super) playing: Playing,
}

/// The rewrite of a stream.
pub(super) enum Stream {
    Audio(Forwarder),
    Video(Box<VideoStream>),
}

/// The rewrite of a stream of video, and what decides which layer it is sent.
pub(super) struct VideoStream {
    pub(super) forwarder: VideoForwarder,
    /// What the listener decodes.
    pub(super) formats: Vec<VideoFormat>,
    pub(super) playing: Playing,
    /// The highest layer that there is room for; none while there is no room at all.
    pub(super) allotted: Option<u8>,
    /// Whether the listener was told that the stream is paused.
    pub(super) paused: bool,
    /// The layer of which a keyframe is waited for while nothing is sent.
    pub(super) waiting: Option<u8>,
}

/// What a sender report tells of a stream.
pub(super) struct SentReport {
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    pub(super) sent: (u32, u32),
}

impl Slot {
    /// A slot for audio.
    pub(super) fn audio(section: usize, forwarder: Forwarder, nack: bool) -> Slot {
        Slot::new(section, Stream::Audio(forwarder), nack)
    }

    /// A slot for video.
    pub(super) fn video(
        section: usize,
        forwarder: VideoForwarder,
        formats: &[VideoFormat],
    ) -> Slot {
        let stream = VideoStream {
            forwarder,
            formats: formats.to_vec(),
            playing: Playing::FULL,
            allotted: Some(u8::MAX),
            paused: false,
            waiting: None,
        };
        Slot::new(section, Stream::Video(Box::new(stream)), true)
    }

    fn new(section: usize, stream: Stream, nack: bool) -> Slot {
        Slot {
            section,
            stream,
            track: None,
            nack,
            reported: false,
            lost: 0,
            jitter: 0,
            // One stream id each, so that browsers do not delay slots to synchronise them.
            msid: (format!("hive-{section}"), format!("audio-{section}")),
            described: false,
            playing: Playing::FULL,
        }
    }

    /// Whether it can send in a section of this kind.
    pub(super) fn fits(&self, kind: &SectionKind) -> bool {
        match self.stream {
            Stream::Audio(_) => kind.is_audio(),
            Stream::Video(_) => kind.is_video(),
        }
    }

    /// Takes what a section has in common with the client, once it has answered.
    pub(super) fn narrow(&mut self, section: &Section) {
        match (&mut self.stream, &section.kind) {
            (Stream::Audio(forwarder), SectionKind::Audio(opus)) => {
                forwarder.set_extensions(section.extensions);
                forwarder.set_red(opus.red);
                self.nack = opus.nack;
            }
            (Stream::Video(video), SectionKind::Video(formats)) => {
                video.forwarder.set_extensions(section.extensions);
                video.formats.clone_from(formats);
            }
            _ => {}
        }
    }

    /// The source of the stream.
    pub(super) fn ssrc(&self) -> u32 {
        match &self.stream {
            Stream::Audio(forwarder) => forwarder.ssrc(),
            Stream::Video(video) => video.forwarder.ssrc(),
        }
    }

    /// The source of its retransmissions.
    pub(super) fn rtx_ssrc(&self) -> Option<u32> {
        match &self.stream {
            Stream::Audio(_) => None,
            Stream::Video(video) => video.forwarder.rtx_ssrc(),
        }
    }

    /// The rewrite of audio.
    pub(super) fn audio_mut(&mut self) -> Option<&mut Forwarder> {
        match &mut self.stream {
            Stream::Audio(forwarder) => Some(forwarder),
            Stream::Video(_) => None,
        }
    }

    /// The rewrite of video.
    pub(super) fn video_mut(&mut self) -> Option<&mut VideoStream> {
        match &mut self.stream {
            Stream::Audio(_) => None,
            Stream::Video(video) => Some(video),
        }
    }

    /// What was left out must not look like loss.
    pub(super) fn restart_audio(&mut self) {
        if let Some(forwarder) = self.audio_mut() {
            forwarder.restart();
        }
    }

    /// What a sender report at `now` says; nothing before the first packet.
    pub(super) fn report(&self, track: &Track, now: Instant) -> Option<SentReport> {
        let (timestamp, sent) = match &self.stream {
            Stream::Audio(forwarder) => {
                let at = track.clock.timestamp_at(now)?;
                (forwarder.timestamp_of(at)?, forwarder.sent())
            }
            Stream::Video(video) => {
                let stream = video.forwarder.stream()?;
                let streams = &track.video.as_deref()?.streams;
                let at = streams.get(usize::from(stream))?.clock.timestamp_at(now)?;
                let timestamp = video.forwarder.timestamp_of(stream, at)?;
                (timestamp, video.forwarder.sent())
            }
        };
        Some(SentReport {
            ssrc: self.ssrc(),
            timestamp,
            sent,
        })
    }

    /// Interarrival jitter at the listener, as it says.
    pub(super) fn jitter_ms(&self) -> f64 {
        let clock = match self.stream {
            Stream::Audio(_) => OPUS_CLOCK,
            Stream::Video(_) => VIDEO_CLOCK,
        };
        f64::from(self.jitter) * 1000.0 / f64::from(clock)
    }
}

impl VideoStream {
    /// Sets the layer to get to, of a track with so many simulcast streams.
    pub(super) fn retarget(&mut self, streams: u8) {
        let target = self
            .allotted
            .filter(|_| self.playing.enabled)
            .map(|allotted| Layer {
                spatial: match streams {
                    // Layers of one stream are as many as it turns out to have.
                    1 => self.playing.layer.min(allotted),
                    _ => self.playing.layer.min(allotted).min(streams - 1),
                },
                temporal: self.playing.temporal(),
            });
        if self.forwarder.target() != target {
            self.forwarder.set_target(target);
        }
    }
}
