//! Whisper's features: the log-mel spectrogram of transformers' `WhisperFeatureExtractor`, for windows
//! of any length up to the model's.
//!
//! The reference pads every window with silence to 30 s, computes all frames, and limits their range
//! to 8 below the largest. Here a frame is computed only where there is sound; the others are known.

use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::config::{HOP, N_FFT};
use crate::stt::SAMPLE_RATE;

/// Frequencies of the transform.
const BINS: usize = N_FFT / 2 + 1;

/// Mel values of silence before they are limited and scaled.
const FLOOR: f64 = -10.0;

/// A log-mel spectrogram: `bands` × `frames`, 100 frames a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Mel {
    bands: usize,
    frames: usize,
    values: Vec<f32>,
}

impl Mel {
    /// Takes features over that were computed elsewhere: `bands` × `frames` values, band by band, an even
    /// number of frames. `None` when they are not so.
    pub fn from_values(bands: usize, frames: usize, values: Vec<f32>) -> Option<Mel> {
        let fits = frames.is_multiple_of(2) && bands.checked_mul(frames) == Some(values.len());
        fits.then_some(Mel {
            bands,
            frames,
            values,
        })
    }

    /// Mel bands.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Frames of 10 ms; even.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Frames of 20 ms that the encoder makes of it.
    pub fn encoder_frames(&self) -> usize {
        self.frames / 2
    }

    /// Values, band by band.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Why a window has no features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MelError {
    /// There are no samples.
    #[error("the window is empty: there is nothing to recognise")]
    Empty,
    /// There are more samples than the model takes.
    #[error(
        "the window has {samples} samples, the model takes {limit} at most: cut it into windows"
    )]
    TooLong {
        /// Samples given.
        samples: usize,
        /// Samples at most.
        limit: usize,
    },
    /// A sample is NaN or infinite.
    #[error("sample {index} of the window is not a finite number: check what decodes the audio")]
    NotFinite {
        /// The first such sample.
        index: usize,
    },
}

/// Computes features. Shared by any threads.
pub struct MelFrontEnd {
    fft: Arc<dyn Fft<f64>>,
    /// Hann, periodic.
    window: Vec<f64>,
    filters: Vec<Filter>,
    max_frames: usize,
}

impl fmt::Debug for MelFrontEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MelFrontEnd({} bands)", self.filters.len())
    }
}

/// A triangle over neighbouring frequencies.
#[derive(Debug)]
struct Filter {
    first: usize,
    weights: Vec<f64>,
}

impl MelFrontEnd {
    /// `bands` mel bands, windows of at most `max_frames` frames (3000 of 10 ms).
    pub fn new(bands: usize, max_frames: usize) -> MelFrontEnd {
        let window = (0..N_FFT)
            .map(|i| 0.5 - 0.5 * (2.0 * PI * i as f64 / N_FFT as f64).cos())
            .collect();
        MelFrontEnd {
            fft: FftPlanner::new().plan_fft_forward(N_FFT),
            window,
            filters: filters(bands),
            max_frames,
        }
    }

    /// The frames that a window of so many samples has: even, and all of it.
    pub fn frames_of(&self, samples: usize) -> usize {
        (samples.div_ceil(2 * HOP) * 2).min(self.max_frames)
    }

    /// Features of a window: samples at 16 kHz, mono, −1…1. Blocks for about 0.5 ms a second of audio.
    pub fn compute(&self, samples: &[f32]) -> Result<Mel, MelError> {
        self.compute_frames(samples, self.frames_of(samples.len()))
    }

    /// The same with silence after it up to `frames` frames, which are rounded up to an even number;
    /// with the model's maximum, exactly what the reference computes.
    pub fn compute_frames(&self, samples: &[f32], frames: usize) -> Result<Mel, MelError> {
        let limit = self.max_frames * HOP;
        if samples.is_empty() {
            return Err(MelError::Empty);
        }
        if samples.len() > limit {
            return Err(MelError::TooLong {
                samples: samples.len(),
                limit,
            });
        }
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            return Err(MelError::NotFinite { index });
        }
        let frames = frames
            .max(self.frames_of(samples.len()))
            .next_multiple_of(2)
            .min(self.max_frames);
        // The largest value may lie in a frame beyond the window's end that still hears it.
        let heard = (samples.len() + N_FFT / 2)
            .div_ceil(HOP)
            .min(self.max_frames);
        let bands = self.filters.len();
        let mut logs = vec![FLOOR; heard * bands];
        let mut buffer = vec![Complex::default(); N_FFT];
        let mut scratch = vec![Complex::default(); self.fft.get_inplace_scratch_len()];
        let mut largest = FLOOR;
        for (frame, logs) in logs.chunks_exact_mut(bands).enumerate() {
            for (i, value) in buffer.iter_mut().enumerate() {
                let sample = self.sample(samples, frame * HOP + i);
                *value = Complex::new(f64::from(sample) * self.window[i], 0.0);
            }
            self.fft.process_with_scratch(&mut buffer, &mut scratch);
            for (log, filter) in logs.iter_mut().zip(&self.filters) {
                let power: f64 = filter
                    .weights
                    .iter()
                    .zip(&buffer[filter.first..])
                    .map(|(weight, value)| weight * value.norm_sqr())
                    .sum();
                *log = power.max(1e-10).log10();
                largest = largest.max(*log);
            }
        }
        let scaled = |log: f64| ((log.max(largest - 8.0) + 4.0) / 4.0) as f32;
        let mut values = vec![scaled(FLOOR); bands * frames];
        for (frame, logs) in logs.chunks_exact(bands).take(frames).enumerate() {
            for (band, &log) in logs.iter().enumerate() {
                values[band * frames + frame] = scaled(log);
            }
        }
        Ok(Mel {
            bands,
            frames,
            values,
        })
    }

    /// The sample at `at` of the window padded with silence to the model's length, and beyond its ends
    /// by reflection, half a transform before it.
    fn sample(&self, samples: &[f32], at: usize) -> f32 {
        let end = self.max_frames * HOP;
        let index = match at.checked_sub(N_FFT / 2) {
            None => N_FFT / 2 - at,
            Some(index) if index >= end => 2 * (end - 1) - index,
            Some(index) => index,
        };
        samples.get(index).copied().unwrap_or(0.0)
    }
}

/// Slaney's triangles, normalised to equal area (librosa's `mel(norm="slaney", htk=False)`).
fn filters(bands: usize) -> Vec<Filter> {
    let nyquist = f64::from(SAMPLE_RATE) / 2.0;
    let top = to_mel(nyquist);
    let edges: Vec<f64> = (0..bands + 2)
        .map(|i| to_hertz(top * i as f64 / (bands + 1) as f64))
        .collect();
    let triangle = |edges: &[f64]| {
        let (low, centre, high) = (edges[0], edges[1], edges[2]);
        let weight = |bin: usize| {
            let frequency = nyquist * bin as f64 / (BINS - 1) as f64;
            let up = (frequency - low) / (centre - low);
            let down = (high - frequency) / (high - centre);
            (up.min(down).max(0.0)) * 2.0 / (high - low)
        };
        let first = (0..BINS).find(|&bin| weight(bin) > 0.0).unwrap_or(0);
        Filter {
            first,
            weights: (first..BINS)
                .map(weight)
                .take_while(|&weight| weight > 0.0)
                .collect(),
        }
    };
    edges.windows(3).map(triangle).collect()
}

/// Where Slaney's scale turns from linear to logarithmic, in hertz and in mel.
const TURN: (f64, f64) = (1000.0, 15.0);

fn to_mel(hertz: f64) -> f64 {
    if hertz < TURN.0 {
        3.0 * hertz / 200.0
    } else {
        TURN.1 + (hertz / TURN.0).ln() * 27.0 / 6.4_f64.ln()
    }
}

fn to_hertz(mel: f64) -> f64 {
    if mel < TURN.1 {
        200.0 * mel / 3.0
    } else {
        TURN.0 * ((mel - TURN.1) * 6.4_f64.ln() / 27.0).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// transformers' features of the same window, by the definition: padded to 30 s, one direct Fourier
    /// sum a value.
    fn by_definition(samples: &[f32], frames: &[usize], bands: usize) -> Vec<Vec<f64>> {
        let filters = filters(bands);
        let padded = |at: i64| {
            let at = if at < 0 { -at } else { at } as usize;
            samples.get(at).copied().unwrap_or(0.0)
        };
        let spectrum = |frame: usize| -> Vec<f64> {
            (0..BINS)
                .map(|bin| {
                    let (mut re, mut im) = (0.0, 0.0);
                    for i in 0..N_FFT {
                        let hann = (PI * i as f64 / N_FFT as f64).sin().powi(2);
                        let x = hann * f64::from(padded((frame * HOP + i) as i64 - 200));
                        let angle = 2.0 * PI * (bin * i % N_FFT) as f64 / N_FFT as f64;
                        re += x * angle.cos();
                        im -= x * angle.sin();
                    }
                    re * re + im * im
                })
                .collect()
        };
        let log = |frame: usize| -> Vec<f64> {
            let spectrum = spectrum(frame);
            filters
                .iter()
                .map(|filter| {
                    let powers = filter.weights.iter().zip(&spectrum[filter.first..]);
                    powers.map(|(w, p)| w * p).sum::<f64>().max(1e-10).log10()
                })
                .collect()
        };
        let logs: Vec<Vec<f64>> = frames.iter().map(|&frame| log(frame)).collect();
        let largest = logs.iter().flatten().copied().fold(FLOOR, f64::max);
        logs.iter()
            .map(|frame| {
                let scaled = |&log: &f64| (log.max(largest - 8.0) + 4.0) / 4.0;
                frame.iter().map(scaled).collect()
            })
            .collect()
    }

    fn chirp(samples: usize) -> Vec<f32> {
        (0..samples)
            .map(|i| {
                let t = i as f32 / 16000.0;
                0.3 * (2.0 * 3.1 * (200.0 + 900.0 * t) * t).sin() + 0.01 * (t * 40_000.0).sin()
            })
            .collect()
    }

    #[test]
    fn is_the_reference_by_its_definition() {
        let samples = chirp(3_301);
        let front_end = MelFrontEnd::new(80, 3000);
        let mel = front_end.compute(&samples).unwrap();
        assert_eq!(mel.frames(), 22);
        let all: Vec<usize> = (0..24).collect();
        let reference = by_definition(&samples, &all, 80);
        for (frame, reference) in reference.iter().take(22).enumerate() {
            for (band, theirs) in reference.iter().enumerate() {
                let ours = f64::from(mel.values()[band * 22 + frame]);
                assert!((ours - theirs).abs() < 1e-6, "{frame} {band}");
            }
        }
    }

    #[test]
    fn silence_after_the_window_changes_nothing_in_it() {
        let samples = chirp(16_000);
        let front_end = MelFrontEnd::new(80, 3000);
        let short = front_end.compute(&samples).unwrap();
        let long = front_end.compute_frames(&samples, 3000).unwrap();
        assert_eq!((short.frames(), long.frames()), (100, 3000));
        for band in 0..80 {
            assert_eq!(
                short.values()[band * 100..][..100],
                long.values()[band * 3000..][..100]
            );
        }
        let padded: Vec<f32> = samples.iter().copied().chain([0.0; 16_000]).collect();
        let padded = front_end.compute_frames(&padded, 3000).unwrap();
        assert_eq!(padded, long);
    }

    #[test]
    fn filters_cover_the_spectrum_with_equal_areas() {
        for bands in [80, 128] {
            let filters = filters(bands);
            assert_eq!(filters.len(), bands);
            assert!(filters.iter().all(|filter| !filter.weights.is_empty()));
        }
        // librosa.filters.mel(sr=16000, n_fft=400, n_mels=80)[0, 1] and [79, 199].
        let filters = filters(80);
        assert_eq!(filters[0].first, 1);
        assert!(
            (filters[0].weights[0] - 0.024_862_59).abs() < 1e-6,
            "{}",
            filters[0].weights[0]
        );
    }

    #[test]
    fn refuses_windows_that_cannot_be_recognised() {
        let front_end = MelFrontEnd::new(80, 3000);
        assert_eq!(front_end.compute(&[]), Err(MelError::Empty));
        let hour = vec![0.0; 3600 * 16_000];
        assert!(matches!(
            front_end.compute(&hour),
            Err(MelError::TooLong { limit: 480_000, .. })
        ));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut samples = chirp(1000);
            samples[7] = bad;
            assert_eq!(
                front_end.compute(&samples),
                Err(MelError::NotFinite { index: 7 })
            );
        }
        // The loudest and the shortest are fine.
        front_end.compute(&[f32::MAX]).unwrap();
        front_end.compute(&[0.0; 480_000]).unwrap();
    }
}
