//! Speech that the user brings: a WAV file and a text file of what is said in it.

use std::path::{Path, PathBuf};

use super::CLIP_RATE;
use super::align::{AlignError, Aligner};
use super::meeting::{Meeting, SpeakerTrack};
use crate::audio::resample::{ResampleError, resample};

/// Why a file gave no speech.
#[derive(Debug, thiserror::Error)]
pub enum ReadSpeechError {
    /// The WAV file could not be read.
    #[error("cannot read {}: {source}; give an uncompressed WAV file", path.display())]
    Wav {
        /// The file.
        path: PathBuf,
        /// What hound says.
        source: hound::Error,
    },
    /// The text file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file's sample rate cannot be converted.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// The text is not what is said.
    #[error(transparent)]
    Align(#[from] AlignError),
}

/// Read a WAV file of any rate and sample format as mono speech at [`CLIP_RATE`].
///
/// # Errors
///
/// The file is not a WAV file, or its rate cannot be converted.
pub fn read_mono(path: &Path) -> Result<Vec<f32>, ReadSpeechError> {
    let wav = |source| ReadSpeechError::Wav {
        path: path.to_owned(),
        source,
    };
    let mut reader = hound::WavReader::open(path).map_err(wav)?;
    let spec = reader.spec();
    let samples = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<Vec<_>, _>>(),
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1i64 << (spec.bits_per_sample - 1)) as f32;
            reader
                .samples::<i32>()
                .map(|sample| sample.map(|s| s as f32 * scale))
                .collect::<Result<Vec<_>, _>>()
        }
    }
    .map_err(wav)?;
    let channels = usize::from(spec.channels.max(1));
    let mono = samples
        .chunks(channels)
        .map(|frame| frame.iter().sum::<f32>() / channels as f32)
        .collect::<Vec<_>>();
    Ok(resample(&mono, spec.sample_rate, CLIP_RATE)?)
}

/// One speaker who says the file, with a second of room tone before it.
///
/// # Errors
///
/// A file cannot be read, or the text is not what is said.
pub fn meeting(
    wav: &Path,
    text: &Path,
    aligner: &Aligner,
    seed: u64,
) -> Result<Meeting, ReadSpeechError> {
    let words = std::fs::read_to_string(text).map_err(|source| ReadSpeechError::Text {
        path: text.to_owned(),
        source,
    })?;
    let mut clip = aligner.align(read_mono(wav)?, &words)?;
    clip.normalise(-20.0);
    let mut track = SpeakerTrack::new("speaker");
    let end = track.place(&clip, 1.0);
    Ok(Meeting::new(vec![track], end + 1.0, seed))
}
