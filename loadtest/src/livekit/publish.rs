//! What a participant publishes.

use str0m::change::SdpApi;
use str0m::media::{Direction, MediaKind, Mid, Rid, Simulcast, SimulcastLayer};

use super::proto::{
    AddTrackRequest, SimulcastCodec, TrackSource, TrackType, VideoLayer, VideoQuality,
};
use crate::video::Layer;

/// A track to be announced.
#[derive(Debug, Clone)]
pub enum AddTrack {
    /// A microphone with Opus.
    Microphone,
    /// A camera with VP8 in these layers, low to high.
    Camera(Vec<Layer>),
}

/// One packet to be sent.
#[derive(Debug)]
pub struct Sending {
    /// Section.
    pub mid: Mid,
    /// Simulcast layer, if there are any.
    pub rid: Option<Rid>,
    /// Sequence number, rollovers counted.
    pub seq: u64,
    /// RTP time.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Whether it may be asked for again.
    pub nackable: bool,
    /// The payload.
    pub payload: Vec<u8>,
}

impl AddTrack {
    fn cid(&self) -> &'static str {
        match self {
            AddTrack::Microphone => "microphone",
            AddTrack::Camera(_) => "camera",
        }
    }

    pub(super) fn request(&self) -> AddTrackRequest {
        let cid = self.cid().to_owned();
        match self {
            AddTrack::Microphone => AddTrackRequest {
                name: cid.clone(),
                cid,
                r#type: TrackType::Audio.into(),
                source: TrackSource::Microphone.into(),
                disable_red: true,
                ..AddTrackRequest::default()
            },
            AddTrack::Camera(layers) => {
                let largest = layers.last();
                let layers = layers.iter().zip(qualities(layers.len()));
                let layers = layers
                    .map(|(layer, quality)| VideoLayer {
                        quality: (*quality).into(),
                        width: layer.width.into(),
                        height: layer.height.into(),
                        bitrate: layer.bits_per_second,
                        rid: layer.rid.to_owned(),
                        ..VideoLayer::default()
                    })
                    .collect::<Vec<_>>();
                AddTrackRequest {
                    name: cid.clone(),
                    r#type: TrackType::Video.into(),
                    source: TrackSource::Camera.into(),
                    width: largest.map_or(0, |layer| layer.width.into()),
                    height: largest.map_or(0, |layer| layer.height.into()),
                    layers: layers.clone(),
                    simulcast_codecs: vec![SimulcastCodec {
                        codec: "vp8".to_owned(),
                        cid: cid.clone(),
                        layers,
                        ..SimulcastCodec::default()
                    }],
                    cid,
                    ..AddTrackRequest::default()
                }
            }
        }
    }

    pub(super) fn add_to(&self, change: &mut SdpApi<'_>) -> Mid {
        let (kind, simulcast) = match self {
            AddTrack::Microphone => (MediaKind::Audio, None),
            AddTrack::Camera(layers) => {
                let mut simulcast = Simulcast::new();
                for layer in layers {
                    simulcast.add_send_layer(SimulcastLayer::new(layer.rid));
                }
                (MediaKind::Video, Some(simulcast))
            }
        };
        let track = Some(self.cid().to_owned());
        change.add_media(kind, Direction::SendOnly, None, track, simulcast)
    }
}

/// What LiveKit calls so many layers: the highest of several is always `HIGH`, and a lone one is, too.
fn qualities(layers: usize) -> &'static [VideoQuality] {
    use VideoQuality::{High, Low, Medium};
    match layers {
        1 => &[High],
        2 => &[Low, High],
        _ => &[Low, Medium, High],
    }
}
