//! Percentiles.

use serde::Serialize;

/// A distribution in a few numbers; `None` where there is no sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// Samples.
    pub n: usize,
}

impl Summary {
    /// Summarise samples; those that are not finite are left out.
    ///
    /// Percentiles are by nearest rank, rounded to a tenth.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut samples = samples
            .into_iter()
            .filter(|sample| sample.is_finite())
            .collect::<Vec<_>>();
        samples.sort_by(f64::total_cmp);
        let rank = |share: f64| {
            let rank = (share * samples.len() as f64).ceil() as usize;
            samples.get(rank.max(1) - 1).map(|sample| tenth(*sample))
        };
        Self {
            p50: rank(0.50),
            p95: rank(0.95),
            p99: rank(0.99),
            n: samples.len(),
        }
    }
}

/// Round to a tenth.
pub fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Mean, or zero of nothing.
pub fn mean(samples: &[f64]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    samples.iter().sum::<f64>() / samples.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let summary = Summary::of((1..=100).rev().map(f64::from));
        assert_eq!(summary.p50, Some(50.0));
        assert_eq!(summary.p95, Some(95.0));
        assert_eq!(summary.p99, Some(99.0));
        assert_eq!(Summary::of([3.0]).p99, Some(3.0));
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Summary::of([f64::NAN]), Summary::default());
    }
}
