//! Audio level as RTP carries it (RFC 6464).

/// Level of a block of PCM in −dBov: 0 is the loudest block there can be, 127 is silence.
///
/// `pcm` is any number of samples, full scale ±1.0; samples that are not finite count as silence.
/// Computed as RFC 6464 appendix A does: root mean square relative to the overload point, so a
/// full-scale sine is 3.
pub fn audio_level_dbov(pcm: &[f32]) -> u8 {
    if pcm.is_empty() {
        return 127;
    }
    let energy: f64 = pcm
        .iter()
        .filter(|sample| sample.is_finite())
        .map(|&sample| f64::from(sample) * f64::from(sample))
        .sum();
    let mean = energy / pcm.len() as f64;
    if mean <= 0.0 {
        return 127;
    }
    (-10.0 * mean.log10()).round().clamp(0.0, 127.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(amplitude: f32) -> Vec<f32> {
        (0..960)
            .map(|n| amplitude * (n as f32 * std::f32::consts::TAU / 48.0).sin())
            .collect()
    }

    #[test]
    fn levels_are_those_of_rfc_6464() {
        assert_eq!(audio_level_dbov(&[1.0, -1.0, 1.0, -1.0]), 0);
        assert_eq!(audio_level_dbov(&sine(1.0)), 3);
        assert_eq!(audio_level_dbov(&sine(0.1)), 23);
        assert_eq!(audio_level_dbov(&sine(0.001)), 63);
    }

    #[test]
    fn silence_and_nonsense_are_127_and_overload_is_0() {
        assert_eq!(audio_level_dbov(&[]), 127);
        assert_eq!(audio_level_dbov(&[0.0; 960]), 127);
        assert_eq!(audio_level_dbov(&[f32::NAN, f32::INFINITY]), 127);
        assert_eq!(audio_level_dbov(&[1e-30; 960]), 127);
        assert_eq!(audio_level_dbov(&[40.0; 960]), 0);
    }
}
