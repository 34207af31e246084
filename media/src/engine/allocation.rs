//! Sharing what the way to a subscriber can take among its streams of video, so that audio never has
//! to give way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::video_track::LOWER_AFTER;
use super::{Engine, MediaEvent};
use crate::clock::Now;

/// How often bandwidth is allocated.
const INTERVAL: Duration = Duration::from_millis(200);
/// The part of the estimate that is used; the rest is for what it does not see.
const USED: f64 = 0.95;
/// A higher layer has to fit with this much to spare, so that its own fluctuation does not undo it.
const SPARE: f64 = 1.15;
/// After a step down nothing steps up for so long.
const REST: Duration = Duration::from_secs(3);
/// What a layer is taken to need before it was measured, bits a second, low to high.
const GUESS: [u64; 3] = [150_000, 500_000, 1_700_000];

/// How it stands with one subscriber.
#[derive(Debug, Default)]
pub(super) struct Allocation {
    lowered: Option<Instant>,
}

/// A stream of video that wants bandwidth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Bits a second of each layer, low to high; `None` for those that are not sent.
    pub(super) rates: [Option<u64>; 3],
    /// The highest layer wanted.
    pub(super) highest: u8,
    /// The layer that it has.
    pub(super) current: Option<u8>,
    /// 1 matters most; 0 is unset, and matters least.
    pub(super) priority: u32,
}

/// Which layer each claim gets, within `budget` bits a second: first the lowest layer for each, by
/// priority, then a step more for each in turn. `None` pauses. Without `raise` nobody gets more than
/// they have.
pub(super) fn share(claims: &[Claim], budget: u64, raise: bool) -> Vec<Option<u8>> {
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|&at| match claims[at].priority {
        0 => u32::MAX,
        priority => priority,
    });
    let mut left = budget;
    let mut given = vec![None; claims.len()];
    let layers = |claim: &Claim| -> Vec<(u8, u64)> {
        let sent = claim.rates.iter().enumerate();
        sent.filter_map(|(at, rate)| Some((at as u8, (*rate)?)))
            .filter(|(at, _)| *at <= claim.highest)
            .collect()
    };
    for step in 0..3 {
        for &at in &order {
            let claim = &claims[at];
            let layers = layers(claim);
            let Some(&(layer, rate)) = layers.get(step) else {
                continue;
            };
            let before = match step {
                0 => 0,
                _ if given[at] != Some(layers[step - 1].0) => continue,
                _ => layers[step - 1].1,
            };
            let more = rate.saturating_sub(before);
            let higher = claim.current.is_none_or(|current| layer > current);
            let needed = if higher {
                (more as f64 * SPARE) as u64
            } else {
                more
            };
            // One that is paused may come back with its lowest layer at any time.
            let allowed = raise || !higher || (step == 0 && claim.current.is_none());
            if needed <= left && allowed {
                given[at] = Some(layer);
                left -= more.min(left);
            }
        }
    }
    given
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
            self.allocate_peer(now.mono, key, &mut wanted, &mut keyframes);
        }
        for (track, stream) in keyframes {
            self.want_keyframe(now.mono, track, stream);
        }
        self.tell_wanted(now.mono, &wanted);
    }

    fn allocate_peer(
        &mut self,
        now: Instant,
        key: usize,
        wanted: &mut HashMap<usize, u8>,
        keyframes: &mut Vec<(usize, u8)>,
    ) {
        let Engine {
            peers,
            tracks,
            events,
            ..
        } = self;
        let peer = &mut *peers[key];
        let Some(listening) = peer.listening.as_deref_mut() else {
            return;
        };
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
            if rates.iter().all(Option::is_none) {
                continue;
            }
            let current = video.forwarder.current().map(|layer| layer.spatial);
            video.waiting = video.waiting.filter(|_| current.is_none());
            claims.push(Claim {
                rates,
                highest: video.playing.layer.min(2),
                current: current.or(video.waiting),
                priority: video.playing.priority,
            });
            slots.push((at, track));
        }
        if claims.is_empty() {
            return;
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
        estimator.wanted((ideal as f64 * SPARE / USED) as u64);
        let budget = if estimator.is_measured() {
            (estimator.estimate() as f64 * USED) as u64
        } else {
            u64::MAX
        };
        let raise = listening
            .allocation
            .lowered
            .is_none_or(|at| now.saturating_duration_since(at) >= REST);
        let given = share(&claims, budget, raise);
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
                listening.allocation.lowered = Some(now);
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

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: [Option<u64>; 3] = [Some(150_000), Some(500_000), Some(1_700_000)];

    fn claim(current: Option<u8>) -> Claim {
        Claim {
            rates: FULL,
            highest: 2,
            current,
            priority: 0,
        }
    }

    #[test]
    fn a_lone_stream_gets_the_highest_layer_that_fits() {
        for (budget, layer) in [
            (100_000, None),
            (300_000, Some(0)),
            (700_000, Some(1)),
            (2_500_000, Some(2)),
        ] {
            assert_eq!(share(&[claim(None)], budget, true), [layer], "{budget}");
        }
    }

    #[test]
    fn everybody_gets_the_lowest_layer_before_anybody_gets_more() {
        let claims = [claim(None), claim(None), claim(None)];
        assert_eq!(share(&claims, 900_000, true), [Some(1), Some(0), Some(0)]);
        let mut urgent = claims;
        urgent[2].priority = 1;
        assert_eq!(share(&urgent, 200_000, true), [None, None, Some(0)]);
    }

    #[test]
    fn what_is_sent_is_kept_with_less_to_spare_than_a_step_up_needs() {
        assert_eq!(share(&[claim(Some(1))], 510_000, true), [Some(1)]);
        assert_eq!(share(&[claim(Some(0))], 510_000, true), [Some(0)]);
    }

    #[test]
    fn while_resting_nothing_rises_but_what_is_paused_comes_back() {
        assert_eq!(share(&[claim(Some(0))], 9_000_000, false), [Some(0)]);
        assert_eq!(share(&[claim(None)], 9_000_000, false), [Some(0)]);
    }

    #[test]
    fn layers_that_are_not_sent_are_passed_over() {
        let mut one = claim(None);
        one.rates = [None, Some(500_000), None];
        assert_eq!(share(&[one], 9_000_000, true), [Some(1)]);
        one.highest = 0;
        assert_eq!(share(&[one], 9_000_000, true), [None]);
    }
}
