//! Who gets how much of what there is.

/// A higher layer has to fit with this much to spare, so that its own fluctuation does not undo it.
pub(super) const SPARE: f64 = 1.15;

/// A stream of video that wants bandwidth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Bits a second of each layer, low to high; `None` for those that are not sent.
    pub(super) rates: [Option<u64>; 3],
    /// The highest layer wanted.
    pub(super) highest: u8,
    /// The layer that it has.
    pub(super) current: Option<u8>,
    /// The layer that it has, or the lower one that it was given and goes to.
    pub(super) held: Option<u8>,
    /// 1 matters most; 0 is unset, and matters least.
    pub(super) priority: u32,
}

impl Claim {
    /// The layers that it may have, low to high, and what they take.
    pub(super) fn layers(&self) -> Vec<(u8, u64)> {
        let sent = self.rates.iter().enumerate();
        sent.filter_map(|(at, rate)| Some((at as u8, (*rate)?)))
            .filter(|(at, _)| *at <= self.highest)
            .collect()
    }
}

/// Which layer each claim gets, within `budget` bits a second: first the lowest layer for each, by
/// priority, then a step more for each in turn. `None` pauses. Without `raise` nobody gets more than
/// they have; with `keep` nobody gets less than they hold, whatever the budget.
pub(super) fn share(claims: &[Claim], budget: u64, raise: bool, keep: bool) -> Vec<Option<u8>> {
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|&at| match claims[at].priority {
        0 => u32::MAX,
        priority => priority,
    });
    let mut left = budget;
    let mut given = vec![None; claims.len()];
    for step in 0..3 {
        for &at in &order {
            let claim = &claims[at];
            let layers = claim.layers();
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
            let kept = keep && claim.held.is_some_and(|held| layer <= held);
            if kept || (needed <= left && allowed) {
                given[at] = Some(layer);
                left -= more.min(left);
            }
        }
    }
    given
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
            held: current,
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
            assert_eq!(
                share(&[claim(None)], budget, true, false),
                [layer],
                "{budget}"
            );
        }
    }

    #[test]
    fn everybody_gets_the_lowest_layer_before_anybody_gets_more() {
        let claims = [claim(None), claim(None), claim(None)];
        assert_eq!(
            share(&claims, 900_000, true, false),
            [Some(1), Some(0), Some(0)]
        );
        let mut urgent = claims;
        urgent[2].priority = 1;
        assert_eq!(share(&urgent, 200_000, true, false), [None, None, Some(0)]);
    }

    #[test]
    fn what_is_sent_is_kept_with_less_to_spare_than_a_step_up_needs() {
        assert_eq!(share(&[claim(Some(1))], 510_000, true, false), [Some(1)]);
        assert_eq!(share(&[claim(Some(0))], 510_000, true, false), [Some(0)]);
    }

    #[test]
    fn while_resting_nothing_rises_but_what_is_paused_comes_back() {
        assert_eq!(share(&[claim(Some(0))], 9_000_000, false, false), [Some(0)]);
        assert_eq!(share(&[claim(None)], 9_000_000, false, false), [Some(0)]);
    }

    #[test]
    fn layers_that_are_not_sent_are_passed_over() {
        let mut one = claim(None);
        one.rates = [None, Some(500_000), None];
        assert_eq!(share(&[one], 9_000_000, true, false), [Some(1)]);
        one.highest = 0;
        assert_eq!(share(&[one], 9_000_000, true, false), [None]);
    }

    #[test]
    fn without_congestion_nobody_loses_what_they_hold() {
        let has = |held| Claim {
            held,
            ..claim(Some(2))
        };
        assert_eq!(share(&[has(Some(2))], 900_000, true, true), [Some(2)]);
        assert_eq!(share(&[has(Some(2))], 900_000, true, false), [Some(1)]);
        // It is on its way down.
        assert_eq!(share(&[has(Some(0))], 400_000, true, true), [Some(0)]);
        assert_eq!(share(&[has(None)], 100_000, true, true), [None]);
        // Who has nothing yet gets what is left, and takes nothing away.
        let both = [has(Some(2)), claim(None)];
        assert_eq!(share(&both, 1_000_000, true, true), [Some(2), Some(0)]);
        assert_eq!(share(&both, 100_000, true, true), [Some(2), None]);
    }
}
