//! Sharing what the way to a subscriber can take among its streams of video, so that audio never has
//! to give way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::peer::Listening;
use super::share::{Claim, SPARE, share};
use super::slot::Stream;
use super::video_track::LOWER_AFTER;
use super::{Engine, MediaEvent};
use crate::clock::Now;

/// How often bandwidth is allocated.
const INTERVAL: Duration = Duration::from_millis(200);
/// The part of the estimate that is used; the rest is for what it does not see.
const USED: f64 = 0.95;
/// What a layer is taken to need before it was measured, bits a second, low to high.
const GUESS: [u64; 3] = [150_000, 500_000, 1_700_000];

/// How much the streams of one subscriber may take.
#[derive(Clone, Copy, Debug)]
struct Limit {
    budget: u64,
    /// Whether there was too much of late.
    congested: bool,
}

impl Limit {
    fn of(listening: &mut Listening, now: Instant) -> Limit {
        let estimator = &mut listening.estimator;
        let congested = estimator.congested();
        if estimator.is_measured() {
            let budget = (estimator.estimate() as f64 * USED) as u64;
            return Limit { budget, congested };
        }
        let congested = listening.reported_loss.update(now);
        Limit {
            budget: listening.reported_loss.bound().unwrap_or(u64::MAX),
            congested,
        }
    }
}

/// Whether no probe can find out that there is room for more: without retransmissions nothing can be
/// sent that is not media.
fn is_blind(listening: &Listening) -> bool {
    listening.estimator.is_measured()
        && !listening.slots.iter().any(|slot| match &slot.stream {
            Stream::Video(video) => slot.track.is_some() && video.forwarder.may_repeat(),
            Stream::Audio(_) => false,
        })
}

impl Engine {
    /// Gives each stream of video the layer that there is room for.
    pub(super) fn allocate(&mut self, now: &Now) {
        if self.next_allocation.is_some_and(|at| at > now.mono) {
            return;
        }
        self.next_allocation = Some(now.mono + INTERVAL);
        let mut wanted = HashMap::new();
        let mut keyframes = Vec::new();
        let keys: Vec<usize> = self.peers.iter().map(|(key, _)| key).collect();
        for key in keys {
            if self.allocate_peer(now.mono, key, &mut wanted, &mut keyframes) {
                // A probe is due.
                self.schedule(key);
            }
        }
        for (track, stream) in keyframes {
            self.want_keyframe(now.mono, track, stream);
        }
        self.tell_wanted(now.mono, &wanted);
    }

    /// Gives whether the peer would be sent more than its way is known to take.
    fn allocate_peer(
        &mut self,
        now: Instant,
        key: usize,
        wanted: &mut HashMap<usize, u8>,
        keyframes: &mut Vec<(usize, u8)>,
    ) -> bool {
        let Engine {
            peers,
            tracks,
            events,
            ..
        } = self;
        let peer = &mut *peers[key];
        let Some(listening) = peer.listening.as_deref_mut() else {
            return false;
        };
        let limit = Limit::of(listening, now);
        let mut claims = Vec::new();
        let mut slots = Vec::new();
        for (at, slot) in listening.slots.iter_mut().enumerate() {
            let Some(track) = slot.track else { continue };
            let Some(video) = slot.video_mut().filter(|video| video.playing.enabled) else {
                continue;
            };
            let Some(published) = tracks[track].video.as_deref() else {
                continue;
            };
            let attached = video.forwarder.is_attached();
            // Nobody wants what they cannot decode; what has not begun yet may suit them.
            if attached || published.format().is_none() {
                let highest = wanted.entry(track).or_insert(0);
                *highest = video.playing.layer.max(*highest);
            }
            if !attached {
                continue;
            }
            let mut rates = published.rates(now);
            // A layer of which something comes is taken for what such layers usually need until it
            // has been measured.
            for (at, rate) in rates.iter_mut().enumerate() {
                if published.is_alive(at, now) {
                    rate.get_or_insert(GUESS[at]);
                }
            }
            let highest = video.playing.layer.min(2);
            // Whose layers pause has what it had: that nothing comes is no want of bandwidth.
            if rates[..=usize::from(highest)].iter().all(Option::is_none) {
                continue;
            }
            let current = video.forwarder.current().map(|layer| layer.spatial);
            video.waiting = video.waiting.filter(|_| current.is_none());
            let current = current.or(video.waiting);
            claims.push(Claim {
                rates,
                highest,
                current,
                held: current.min(video.allotted),
                priority: video.playing.priority,
            });
            slots.push((at, track));
        }
        if claims.is_empty() {
            return false;
        }
        let ideal: u64 = claims
            .iter()
            .map(|claim| {
                let highest = usize::from(claim.highest);
                claim.rates[..=highest]
                    .iter()
                    .flatten()
                    .max()
                    .copied()
                    .unwrap_or(0)
            })
            .sum();
        let estimator = &mut listening.estimator;
        let ideal = (ideal as f64 * SPARE / USED) as u64;
        estimator.wanted(ideal);
        let wants = ideal > estimator.estimate();
        let Limit { budget, congested } = limit;
        let raise = listening.ascent.may_rise(now, congested);
        let mut given = share(&claims, budget, raise, !congested);
        if raise && !congested && is_blind(listening) {
            listening.ascent.attempt(now, &claims, &slots, &mut given);
        }
        let estimator = &listening.estimator;
        tracing::trace!(
            peer = %peer.id,
            estimate = estimator.estimate(),
            arriving = estimator.acknowledged(now),
            loss = estimator.loss(),
            ?claims,
            ?given,
            "bandwidth is allocated"
        );
        for ((claim, given), (at, track)) in claims.iter().zip(given).zip(slots) {
            if given < claim.current {
                listening.ascent.lowered(now);
            }
            let Some(video) = listening.slots[at].video_mut() else {
                continue;
            };
            // What is sent while a keyframe of the lower layer is waited for may be more than the way
            // takes. If it is far more, little of it arrives, and the keyframe would queue behind it.
            let rate = claim
                .current
                .and_then(|current| claim.rates[usize::from(current).min(2)]);
            if given < claim.current && rate.is_some_and(|rate| budget < rate / 2) {
                video.forwarder.set_target(None);
                video.waiting = given;
            }
            video.allotted = given;
            let streams = tracks[track]
                .video
                .as_ref()
                .map_or(1, |video| video.streams.len());
            video.retarget(streams as u8);
            if let Some(stream) = video.forwarder.wants_keyframe() {
                keyframes.push((track, stream));
            }
            let paused = given.is_none();
            if std::mem::replace(&mut video.paused, paused) != paused {
                events.push_back(MediaEvent::StreamPaused {
                    peer: peer.id,
                    track: tracks[track].id,
                    paused,
                });
            }
        }
        wants
    }

    /// Tells of each published track of video the highest layer that anybody wants, when it changed.
    fn tell_wanted(&mut self, now: Instant, wanted: &HashMap<usize, u8>) {
        for (key, track) in &mut self.tracks {
            let Some(video) = track.video.as_deref_mut() else {
                continue;
            };
            let highest = wanted.get(&key).copied();
            if video.settle_wanted(highest, now, LOWER_AFTER) {
                self.events.push_back(MediaEvent::LayerWanted {
                    track: track.id,
                    layer: highest,
                });
            }
        }
    }
}
