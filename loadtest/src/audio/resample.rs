//! Whole clips from one sample rate to another.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

/// Why a clip could not be resampled.
#[derive(Debug, thiserror::Error)]
#[error("cannot convert {from} Hz to {to} Hz: {reason}")]
pub struct ResampleError {
    from: u32,
    to: u32,
    reason: String,
}

/// Resample a mono clip; the result is in step with the input (the filter's delay is trimmed).
///
/// # Errors
///
/// A rate of zero, or one the FFT resampler does not take.
pub fn resample(pcm: &[f32], from: u32, to: u32) -> Result<Vec<f32>, ResampleError> {
    if from == to || pcm.is_empty() {
        return Ok(pcm.to_vec());
    }
    let failed = |reason: String| ResampleError { from, to, reason };
    let mut resampler = Fft::<f32>::new(from as usize, to as usize, 1024, 1, FixedSync::Both)
        .map_err(|e| failed(e.to_string()))?;
    let input = InterleavedSlice::new(pcm, 1, pcm.len()).map_err(|e| failed(e.to_string()))?;
    resampler
        .process_all(&input, pcm.len(), None)
        .map(|output| output.take_data())
        .map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_stays_where_it_was() {
        let mut pcm = vec![0.0; 16_000];
        pcm[8_000] = 1.0;
        let up = resample(&pcm, 16_000, 48_000).unwrap();
        assert_eq!(up.len(), 48_000);
        let loudest = (0..up.len()).max_by(|a, b| up[*a].abs().total_cmp(&up[*b].abs()));
        assert!(loudest.unwrap().abs_diff(24_000) <= 1, "{loudest:?}");
    }

    #[test]
    fn a_rate_of_zero_is_an_error() {
        assert!(resample(&[0.0; 10], 0, 48_000).is_err());
    }
}
