//! How clients want what they are sent.

use super::Engine;
use crate::clock::Now;
use crate::ids::{PeerId, TrackId};

/// How a subscriber wants a track of video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Playing {
    /// Whether it is sent at all.
    pub enabled: bool,
    /// The highest layer wanted, low to high.
    pub layer: u8,
    /// The most frames a second wanted.
    pub frames_per_second: Option<u32>,
    /// 1 matters most; 0 is unset.
    pub priority: u32,
}

impl Playing {
    /// Everything there is.
    pub const FULL: Playing = Playing {
        enabled: true,
        layer: u8::MAX,
        frames_per_second: None,
        priority: 0,
    };
    /// Nothing.
    pub const OFF: Playing = Playing {
        enabled: false,
        ..Playing::FULL
    };

    /// The highest temporal layer wanted, of streams of 30 frames a second whose layers halve it.
    pub(super) fn temporal(&self) -> u8 {
        match self.frames_per_second {
            Some(..=8) => 0,
            Some(..=16) => 1,
            _ => u8::MAX,
        }
    }
}

impl Engine {
    /// Sets how a client is sent a track that was negotiated.
    pub fn set_playing(&mut self, now: &Now, peer: PeerId, track: TrackId, playing: Playing) {
        let (Some(&key), Some(&track)) = (self.by_id.get(&peer), self.track_by_id.get(&track))
        else {
            return;
        };
        let Some(listening) = self.peers[key].listening.as_deref_mut() else {
            return;
        };
        let Some(slot) = listening
            .slots
            .iter_mut()
            .find(|slot| slot.track == Some(track))
        else {
            return;
        };
        let was = std::mem::replace(&mut slot.playing, playing);
        if let Some(video) = slot.video_mut() {
            let streams = self.tracks[track]
                .video
                .as_ref()
                .map_or(1, |video| video.streams.len());
            video.playing = playing;
            video.retarget(streams as u8);
            let wants = video.forwarder.wants_keyframe();
            if let Some(stream) = wants {
                self.want_keyframe(now.mono, track, stream);
            }
        } else if playing.enabled && !was.enabled {
            slot.restart_audio();
        }
        self.next_allocation = None;
    }
}
