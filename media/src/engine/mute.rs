//! Tracks that the server mutes.

use super::Engine;
use super::peer::Inbound;
use super::slot::Stream;
use super::track::Origin;
use crate::clock::Now;
use crate::ids::TrackId;
use crate::rtp::OPUS_CLOCK;
use crate::rtp::nack::NackGenerator;
use crate::rtp::receive::ReceiveStats;
use crate::video::codec::VIDEO_CLOCK;

impl Engine {
    /// Drops what comes of a track from now on, or lets it pass again.
    pub fn mute(&mut self, now: &Now, track: TrackId, muted: bool) {
        let Some(&key) = self.track_by_id.get(&track) else {
            return;
        };
        let was = std::mem::replace(&mut self.tracks[key].muted, muted);
        if was && !muted {
            self.begin_anew(key);
            self.restart_subscribers(now, key);
        }
    }

    /// What was dropped of a track is neither lost nor to be asked for: its streams are counted anew.
    fn begin_anew(&mut self, track: usize) {
        let entry = &self.tracks[track];
        let Origin::Peer { key, ssrc } = entry.origin else {
            return;
        };
        let streams: Vec<(u32, u64)> = match entry.video.as_deref() {
            Some(video) => {
                let streams = video.streams.iter();
                streams
                    .filter_map(|it| Some((it.ssrc?, it.highest_seq)))
                    .collect()
            }
            None => ssrc
                .map(|ssrc| (ssrc, entry.highest_seq))
                .into_iter()
                .collect(),
        };
        let audio = entry.is_audio();
        let Some(publishing) = self.peers[key].publishing.as_deref_mut() else {
            return;
        };
        for inbound in &mut publishing.streams {
            let Some((_, highest)) = streams.iter().find(|(ssrc, _)| *ssrc == inbound.ssrc) else {
                continue;
            };
            let (stats, nack) = match audio {
                true => (ReceiveStats::new(OPUS_CLOCK), NackGenerator::default()),
                false => (ReceiveStats::new(VIDEO_CLOCK), NackGenerator::video()),
            };
            *inbound = Inbound {
                nackable: inbound.nackable,
                keyframes: inbound.keyframes,
                // As of a source that replaces another.
                offset: (highest | 0xFFFF) + 1,
                anew: true,
                ..Inbound::new(inbound.ssrc, stats, nack)
            };
        }
    }

    /// Subscribers' numbers go on without a gap; pictures begin with a keyframe, as nobody has what
    /// the next one refers to.
    fn restart_subscribers(&mut self, now: &Now, track: usize) {
        let mut wanted = Vec::new();
        for subscriber in &self.tracks[track].subscribers {
            let Some(listening) = self.peers[subscriber.peer].listening.as_deref_mut() else {
                continue;
            };
            match &mut listening.slots[subscriber.slot].stream {
                Stream::Audio(forwarder) => forwarder.restart(),
                Stream::Video(video) => {
                    if let Some(stream) = video.forwarder.stream() {
                        video.forwarder.restart(stream);
                    }
                    wanted.extend(video.forwarder.wants_keyframe());
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        for stream in wanted {
            self.want_keyframe(now.mono, track, stream);
        }
    }
}
