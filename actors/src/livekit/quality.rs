//! Qualities of video in LiveKit's terms, and layers in the media plane's.

use hive_media::{PeerId, Playing, TrackId};

use super::proto::{self, StreamState, VideoQuality, participant_info, signal_response};
use super::remembered::TrackSettings;
use crate::hall::Hall;
use crate::room::RoomState;

impl Hall {
    /// A member's peer is connected: the participant is active.
    pub(crate) fn connected(&self, peer: PeerId) {
        let Some((room, member)) = self.member_of(peer) else {
            return;
        };
        {
            let mut state = room.state.lock();
            let Some(participant) = state.stay_mut(&member) else {
                return;
            };
            if participant.profile.state == participant_info::State::Active {
                return;
            }
            participant.profile.state = participant_info::State::Active;
            participant.profile.version += 1;
        }
        self.announce(&room, &member.identity);
        room.roster_changed();
    }

    /// A stream to a subscriber was paused for want of bandwidth, or goes on.
    pub(crate) fn stream_paused(&self, peer: PeerId, track: TrackId, paused: bool) {
        let Some((room, member)) = self.member_of(peer) else {
            return;
        };
        let sids = {
            let state = room.state.lock();
            let mut all = state.publications();
            all.find(|(_, it)| it.track == track)
                .map(|(who, it)| (who.profile.sid.to_string(), it.info.sid.clone()))
        };
        let Some((participant_sid, track_sid)) = sids else {
            return;
        };
        let state = if paused {
            StreamState::Paused
        } else {
            StreamState::Active
        };
        let stream_states = vec![proto::StreamStateInfo {
            participant_sid,
            track_sid,
            state: state.into(),
        }];
        member.tell(signal_response::Message::StreamStateUpdate(
            proto::StreamStateUpdate { stream_states },
        ));
    }

    /// The highest layer of a track that anybody wants changed: its publisher need not send more
    /// (LiveKit's dynacast).
    pub(crate) fn layer_wanted(&self, track: TrackId, layer: Option<u8>) {
        let found = self.rooms().into_iter().find_map(|room| {
            let state = room.state.lock();
            let (who, it) = state.publications().find(|(_, it)| it.track == track)?;
            let publisher = state.participants.get(who.identity)?.member.clone()?;
            Some((publisher, it.info.clone(), state.layers(&it.info.sid)))
        });
        let Some((publisher, info, layers)) = found else {
            return;
        };
        let enabled = |at: usize| layer.is_some_and(|layer| at <= usize::from(layer));
        let qualities: Vec<proto::SubscribedQuality> =
            [VideoQuality::Low, VideoQuality::Medium, VideoQuality::High]
                .into_iter()
                .map(|quality| {
                    let at = layers
                        .iter()
                        .position(|layer| layer.quality == i32::from(quality));
                    proto::SubscribedQuality {
                        quality: quality.into(),
                        // A quality that is no layer of its own stands for the lowest one.
                        enabled: enabled(at.unwrap_or(0)),
                    }
                })
                .collect();
        let codec = info.mime_type.trim_start_matches("video/").to_lowercase();
        #[allow(deprecated, reason = "older clients read the list without codecs")]
        publisher.tell(signal_response::Message::SubscribedQualityUpdate(
            proto::SubscribedQualityUpdate {
                track_sid: info.sid,
                subscribed_qualities: qualities.clone(),
                subscribed_codecs: vec![proto::SubscribedCodec { codec, qualities }],
            },
        ));
    }
}

impl RoomState {
    /// The layers that the publisher of a track announced, the smallest first.
    pub(super) fn layers(&self, sid: &str) -> Vec<proto::VideoLayer> {
        let publication = self.publication(sid);
        #[allow(
            deprecated,
            reason = "the publisher's own list, in whichever field it came"
        )]
        let mut layers = publication.map_or_else(Vec::new, |(_, it)| it.info.layers.clone());
        layers.sort_by_key(|layer| layer.quality);
        layers
    }
}

/// How a track is sent to a subscriber with these settings: the smallest layer that fills the size
/// asked for, or the one of the quality.
pub(super) fn playing(settings: &TrackSettings, layers: &[proto::VideoLayer]) -> Playing {
    let highest = layers.len().saturating_sub(1) as u8;
    let layer = if settings.width > 0 && settings.height > 0 {
        // Portrait or landscape: the shorter side decides.
        let asked = settings.width.min(settings.height);
        layers
            .iter()
            .position(|layer| layer.width.min(layer.height) >= asked)
            .map_or(highest, |at| at as u8)
    } else {
        layers
            .iter()
            .rposition(|layer| layer.quality <= settings.quality)
            .map_or(0, |at| at as u8)
    };
    Playing {
        enabled: !settings.disabled,
        layer: if layers.is_empty() { u8::MAX } else { layer },
        frames_per_second: (settings.fps > 0).then_some(settings.fps),
        priority: settings.priority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(quality: i32, width: u32, height: u32) -> proto::VideoLayer {
        proto::VideoLayer {
            quality,
            width,
            height,
            ..Default::default()
        }
    }

    #[test]
    fn the_smallest_layer_that_fills_the_size_is_taken() {
        let layers = [layer(0, 320, 180), layer(1, 640, 360), layer(2, 1280, 720)];
        for ((width, height), expected) in [
            ((100, 60), 0),
            ((320, 180), 0),
            ((330, 190), 1),
            ((720, 1280), 2),
            ((4000, 3000), 2),
        ] {
            let settings = TrackSettings {
                width,
                height,
                ..Default::default()
            };
            assert_eq!(
                playing(&settings, &layers).layer,
                expected,
                "{width}x{height}"
            );
        }
    }

    #[test]
    fn without_a_size_the_quality_decides() {
        let layers = [layer(0, 320, 180), layer(2, 1280, 720)];
        for (quality, expected) in [(0, 0), (1, 0), (2, 1)] {
            let settings = TrackSettings {
                quality,
                ..Default::default()
            };
            assert_eq!(playing(&settings, &layers).layer, expected, "{quality}");
        }
    }
}
