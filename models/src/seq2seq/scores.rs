//! Arithmetic on logits and log-probabilities, in f32 as the reference does it.

use std::cmp::Ordering;

/// `ln Σ exp(values)`; minus infinity of nothing.
pub fn log_sum_exp(values: &[f32]) -> f32 {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !largest.is_finite() {
        return largest;
    }
    let sum: f64 = values
        .iter()
        .map(|&value| f64::from((value - largest).exp()))
        .sum();
    largest + sum.ln() as f32
}

/// Turns logits into log-probabilities in place.
pub fn log_softmax(values: &mut [f32]) {
    let total = log_sum_exp(values);
    for value in values {
        *value -= total;
    }
}

/// The largest value's index, the first of equals.
pub(super) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = index;
        }
    }
    best
}

/// The `count` largest of `values` with their indices, largest first; the first of equals first.
pub(super) fn top(values: impl Iterator<Item = f32>, count: usize) -> Vec<(f32, usize)> {
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(count + 1);
    for (index, value) in values.enumerate() {
        let full = best.len() == count;
        if full && best.last().is_none_or(|&(least, _)| value <= least) {
            continue;
        }
        let after = best.partition_point(|&(known, _)| {
            known.partial_cmp(&value).unwrap_or(Ordering::Equal) != Ordering::Less
        });
        best.insert(after, (value, index));
        best.truncate(count);
    }
    best
}

/// Whether decoding can go on from these logits: some are numbers, and none is NaN or plus infinity.
pub(super) fn usable(logits: &[f32]) -> bool {
    logits.iter().all(|&value| value < f32::INFINITY)
        && logits.iter().any(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_softmax_is_normalised_and_bears_infinities() {
        let mut values = [1.0, 2.0, f32::NEG_INFINITY, 1000.0];
        log_softmax(&mut values);
        assert_eq!(values[3], 0.0);
        assert_eq!(values[2], f32::NEG_INFINITY);
        let mut even = [3.0; 4];
        log_softmax(&mut even);
        assert!((even[0] + 4.0_f32.ln()).abs() < 1e-6);
        assert_eq!(log_sum_exp(&[]), f32::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY; 3]), f32::NEG_INFINITY);
    }

    #[test]
    fn top_is_sorted_and_stable() {
        let values = [1.0, 5.0, 3.0, 5.0, f32::NEG_INFINITY, 4.0];
        assert_eq!(top(values.into_iter(), 3), [(5.0, 1), (5.0, 3), (4.0, 5)]);
        assert_eq!(top(values.into_iter(), 10).len(), 6);
        assert_eq!(argmax(&values), 1);
    }

    #[test]
    fn logits_with_nan_are_unusable() {
        assert!(usable(&[0.0, f32::NEG_INFINITY]));
        assert!(!usable(&[0.0, f32::NAN]));
        assert!(!usable(&[0.0, f32::INFINITY]));
        assert!(!usable(&[f32::NEG_INFINITY]));
    }
}
