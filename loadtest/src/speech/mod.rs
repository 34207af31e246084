//! Speech whose words and word times are known before anybody recognises it.
//!
//! Three sources give a [`Clip`]: flite synthesises it ([`flite`]), a human reading ships with
//! Debian ([`librivox`]), or a user brings a WAV file and its text ([`mod@file`]). A [`Meeting`] lays
//! clips on a common clock, one [`SpeakerTrack`] a speaker.

pub mod align;
pub mod dialogue;
pub mod file;
pub mod flite;
pub mod librivox;
pub mod meeting;

pub use meeting::{Meeting, SpeakerTrack};

/// Sample rate of every clip, Hz.
pub const CLIP_RATE: u32 = 16_000;

/// A word and when it is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The word as written in the script.
    pub text: String,
    /// First sample of the word, seconds from the start of its clip or track.
    pub start: f64,
    /// One past the last voiced sample of the word, seconds.
    pub end: f64,
}

/// Mono speech at [`CLIP_RATE`] with its words.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Samples in -1..1.
    pub pcm: Vec<f32>,
    /// Words in the order they are said; times ascend.
    pub words: Vec<Word>,
}

impl Clip {
    /// Length of the clip, seconds.
    pub fn seconds(&self) -> f64 {
        self.pcm.len() as f64 / f64::from(CLIP_RATE)
    }

    /// Scale the clip so that its voiced part has the given level.
    ///
    /// `dbfs` is the RMS of the samples louder than -40 dB below the peak. Silence is left alone.
    pub fn normalise(&mut self, dbfs: f32) {
        let peak = self.pcm.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        let floor = peak * 0.01;
        let (sum, count) = self
            .pcm
            .iter()
            .filter(|s| s.abs() > floor)
            .fold((0.0f64, 0usize), |(sum, count), s| {
                (sum + f64::from(*s) * f64::from(*s), count + 1)
            });
        if count == 0 {
            return;
        }
        let rms = (sum / count as f64).sqrt() as f32;
        let gain = (10f32.powf(dbfs / 20.0) / rms).min(0.98 / peak);
        for sample in &mut self.pcm {
            *sample *= gain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_brings_a_quiet_clip_to_the_level_asked_for() {
        let pcm = (0..16_000)
            .map(|n| 0.01 * (n as f32 * 0.2).sin())
            .collect::<Vec<_>>();
        let mut clip = Clip { pcm, words: vec![] };
        clip.normalise(-20.0);
        let rms = (clip.pcm.iter().map(|s| s * s).sum::<f32>() / 16_000.0).sqrt();
        assert!((20.0 * rms.log10() + 20.0).abs() < 0.5, "{rms}");
    }

    #[test]
    fn normalising_never_clips() {
        let mut pcm = vec![0.001; 1000];
        pcm[500] = 0.9;
        let mut clip = Clip { pcm, words: vec![] };
        clip.normalise(0.0);
        assert!(clip.pcm.iter().all(|s| s.abs() <= 1.0));
    }
}
