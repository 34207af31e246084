//! When a subscriber may be sent more than it is.

use std::time::{Duration, Instant};

use super::share::Claim;

/// After a step down nothing steps up for so long.
const REST: Duration = Duration::from_secs(3);
/// Nor, after many attempts in vain, for longer than this.
const MAX_REST: Duration = Duration::from_secs(48);
/// An attempt is in vain if there is congestion so soon after it.
const TRIAL: Duration = Duration::from_secs(5);

/// The steps up of one subscriber.
#[derive(Debug)]
pub(super) struct Ascent {
    lowered: Option<Instant>,
    /// How long nothing steps up after a step down, or after an attempt.
    rest: Duration,
    /// The attempt that is being made: the slot and the layer it goes to.
    attempt: Option<(usize, u8)>,
    /// When an attempt succeeded, as far as is known.
    reached: Option<Instant>,
}

impl Default for Ascent {
    fn default() -> Ascent {
        Ascent {
            lowered: None,
            rest: REST,
            attempt: None,
            reached: None,
        }
    }
}

impl Ascent {
    /// Something was stepped down.
    pub(super) fn lowered(&mut self, now: Instant) {
        self.lowered = Some(now);
    }

    /// Whether anything may step up.
    pub(super) fn may_rise(&mut self, now: Instant, congested: bool) -> bool {
        if congested {
            let recent = |at| now.saturating_duration_since(at) < TRIAL;
            if self.attempt.take().is_some() || self.reached.is_some_and(recent) {
                self.rest = (self.rest * 2).min(MAX_REST);
                self.reached = None;
                self.lowered = Some(now);
            }
        }
        self.lowered
            .is_none_or(|at| now.saturating_duration_since(at) >= self.rest)
    }

    /// Without a way to find out whether there is room for more, one stream is given a layer more than
    /// its share now and then. If that was too much, it is taken back, and the next attempt is later.
    pub(super) fn attempt(
        &mut self,
        now: Instant,
        claims: &[Claim],
        slots: &[(usize, usize)],
        given: &mut [Option<u8>],
    ) {
        let slot_of = |at: usize| slots[at].0;
        if let Some((slot, layer)) = self.attempt {
            match (0..claims.len()).find(|&at| slot_of(at) == slot) {
                Some(at) if claims[at].current < Some(layer) => {
                    given[at] = given[at].max(Some(layer));
                    return;
                }
                _ => {
                    self.attempt = None;
                    self.reached = Some(now);
                }
            }
        }
        if let Some(at) = self.reached {
            let since = now.saturating_duration_since(at);
            if since < self.rest.max(TRIAL) {
                return;
            }
            self.rest = (self.rest / 2).max(REST);
        }
        let next = |at: &usize| {
            let layers = claims[*at].layers();
            let next = layers.iter().find(|(layer, _)| Some(*layer) > given[*at]);
            next.map(|(layer, _)| (*at, *layer))
        };
        let order = |(at, layer): &(usize, u8)| {
            let priority = claims[*at].priority;
            (given[*at].map_or(0, |_| *layer), priority == 0, priority)
        };
        let candidates = (0..claims.len()).filter_map(|at| next(&at));
        if let Some((at, layer)) = candidates.min_by_key(order) {
            self.attempt = Some((slot_of(at), layer));
            given[at] = Some(layer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(current: Option<u8>) -> Claim {
        Claim {
            rates: [Some(150_000), Some(500_000), Some(1_700_000)],
            highest: 2,
            current,
            held: current,
            priority: 0,
        }
    }

    #[test]
    fn attempts_go_step_by_step_and_become_rarer_in_vain() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let slots = [(0, 7)];
        let mut ascent = Ascent::default();
        let given = |ascent: &mut Ascent, now, current| {
            let mut given = [current];
            ascent.attempt(now, &[claim(current)], &slots, &mut given);
            given[0]
        };
        ascent.lowered(at(0));
        assert!(!ascent.may_rise(at(2), false));
        assert!(ascent.may_rise(at(3), false));
        assert_eq!(given(&mut ascent, at(3), Some(0)), Some(1));
        // It is waited for until it is there, and then for what comes of it.
        assert_eq!(given(&mut ascent, at(4), Some(0)), Some(1));
        assert_eq!(given(&mut ascent, at(5), Some(1)), Some(1));
        assert_eq!(given(&mut ascent, at(9), Some(1)), Some(1));
        assert_eq!(given(&mut ascent, at(10), Some(1)), Some(2));
        assert_eq!(given(&mut ascent, at(11), Some(2)), Some(2));
        assert!(!ascent.may_rise(at(12), true));
        assert!(!ascent.may_rise(at(17), false));
        assert!(ascent.may_rise(at(18), false));
    }
}
