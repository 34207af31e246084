//! A track of video: its streams, their formats and rates.

use std::time::{Duration, Instant};

use crate::rtp::cache::PacketCache;
use crate::rtp::meter::Meter;
use crate::rtp::pace::Pace;
use crate::rtp::sequence::ExtendTimestamp;
use crate::rtp::track_clock::TrackClock;
use crate::sdp::formats::VideoFormat;
use crate::sdp::section::MAX_LAYERS;
use crate::video::CACHED_PACKETS;
use crate::video::codec::{VIDEO_CLOCK, VideoCodec};
use crate::video::forward::VideoStreamFormat;
use crate::video::inspect::Inspector;
use crate::video::layers::Layering;

/// A layer that has nothing while another has packets for so long is not sent any more: publishers
/// give up the highest one first when their way or their processor is busy.
const LEFT_BEHIND: Duration = Duration::from_millis(300);
/// Nor is one that leaves out so many of its frames, if it has few.
const FRAMES_BEHIND: u32 = 3;

/// How long the highest wanted layer has to be lower before a publisher is told, as a subscriber may
/// just have scrolled past.
pub(super) const LOWER_AFTER: Duration = Duration::from_secs(3);

/// What a track of video has besides what any has.
pub(super) struct VideoTrack {
    pub(super) formats: Vec<VideoFormat>,
    /// The payload type of what came last.
    pub(super) payload_type: Option<u8>,
    /// Low to high; one if it is no simulcast.
    pub(super) streams: Vec<SimulcastStream>,
    /// Rates of the layers: of the streams of simulcast, or of the spatial layers of the only stream.
    pub(super) meters: [Meter; MAX_LAYERS],
    /// How often the layers have frames.
    pub(super) paces: [Pace; MAX_LAYERS],
    /// The highest layer that anybody wants, as it was told last.
    wanted: Option<Option<u8>>,
    /// Since when less is wanted than was told.
    lower_since: Option<Instant>,
}

/// One stream of a simulcast track.
pub(super) struct SimulcastStream {
    /// The source that carries it now.
    pub(super) ssrc: Option<u32>,
    pub(super) inspector: Option<Inspector>,
    pub(super) cache: PacketCache,
    pub(super) timestamps: ExtendTimestamp,
    pub(super) clock: TrackClock,
    pub(super) highest_seq: u64,
}

impl VideoTrack {
    pub(super) fn new(formats: &[VideoFormat], streams: usize, now: Instant) -> VideoTrack {
        let stream = || SimulcastStream {
            ssrc: None,
            inspector: None,
            cache: PacketCache::new(CACHED_PACKETS),
            timestamps: ExtendTimestamp::default(),
            clock: TrackClock::new(VIDEO_CLOCK, now),
            highest_seq: 0,
        };
        VideoTrack {
            formats: formats.to_vec(),
            payload_type: None,
            streams: (0..streams.max(1)).map(|_| stream()).collect(),
            meters: [Meter::default(); MAX_LAYERS],
            paces: [Pace::default(); MAX_LAYERS],
            wanted: None,
            lower_since: None,
        }
    }

    /// The format of what is sent now.
    pub(super) fn format(&self) -> Option<&VideoFormat> {
        let payload_type = self.payload_type?;
        let mut formats = self.formats.iter();
        formats.find(|format| format.payload_type == payload_type)
    }

    /// What the layers are.
    pub(super) fn layering(&self) -> Layering {
        let layered = self
            .format()
            .is_some_and(|format| matches!(format.codec, VideoCodec::Vp9 | VideoCodec::Av1));
        if self.streams.len() == 1 && layered {
            Layering::Svc
        } else {
            Layering::Simulcast
        }
    }

    /// Bits a second of each layer that is sent now, with all that it needs of those below.
    pub(super) fn rates(&self, now: Instant) -> [Option<u64>; MAX_LAYERS] {
        let mut rates = self.meters.map(|meter| meter.rate(now));
        for (layer, rate) in rates.iter_mut().enumerate() {
            rate.take_if(|_| !self.is_alive(layer, now));
        }
        if self.layering() == Layering::Svc {
            let mut sum = 0;
            for rate in rates.iter_mut().flatten() {
                sum += *rate;
                *rate = sum;
            }
        }
        rates
    }

    /// Whether a layer goes on: something of it came lately, and no other layer went on without it.
    pub(super) fn is_alive(&self, layer: usize, now: Instant) -> bool {
        let newest = self.meters.iter().filter_map(Meter::last).max();
        self.meters.get(layer).is_some_and(|meter| {
            let behind = newest.zip(meter.last());
            let behind = behind.map(|(newest, last)| newest.saturating_duration_since(last));
            let interval = self.paces.get(layer).and_then(Pace::interval);
            let patience = interval.map_or(LEFT_BEHIND, |interval| {
                LEFT_BEHIND.max(interval * FRAMES_BEHIND)
            });
            meter.is_alive(now) && behind.is_some_and(|behind| behind < patience)
        })
    }

    /// Takes note of the highest layer that anybody wants now. Gives whether the publisher has to be
    /// told: at once if more is wanted, and if less is, once that has been so `for_long`.
    pub(super) fn settle_wanted(
        &mut self,
        highest: Option<u8>,
        now: Instant,
        for_long: Duration,
    ) -> bool {
        if self.wanted == Some(highest) {
            self.lower_since = None;
            return false;
        }
        let lower = self.wanted.is_none_or(|told| highest < told);
        if lower {
            let since = *self.lower_since.get_or_insert(now);
            if now.saturating_duration_since(since) < for_long {
                return false;
            }
        }
        self.lower_since = None;
        self.wanted = Some(highest);
        true
    }

    /// How a subscriber that takes `formats` is sent the track, if it can be.
    pub(super) fn format_for(&self, formats: &[VideoFormat]) -> Option<VideoStreamFormat> {
        let ours = self.format()?;
        let decoders = formats.iter().filter(|format| format.decodes(ours));
        // Of several, the one that is no more than what comes.
        let same = decoders.clone().find(|format| ours.decodes(format));
        let theirs = same.or_else(|| decoders.into_iter().next())?;
        Some(VideoStreamFormat {
            codec: ours.codec,
            payload_type: theirs.payload_type,
            rtx_payload_type: theirs.rtx,
        })
    }
}
