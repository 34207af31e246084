//! Human readings with transcripts: the LibriVox clips of Debian's `pocketsphinx-testdata`.

use std::path::{Path, PathBuf};

use super::align::{AlignError, Aligner};
use super::file::{ReadSpeechError, read_mono};
use super::meeting::{Meeting, SpeakerTrack};

/// Where the Debian package puts the clips.
pub const DIRECTORY: &str = "/usr/share/pocketsphinx/test/data/librivox";

/// Why the readings are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LibrivoxError {
    /// The package is not installed.
    #[error("{} is missing: install the Debian package pocketsphinx-testdata (`scripts/setup demo` does)", .0.display())]
    Missing(PathBuf),
    /// The transcripts could not be read.
    #[error("cannot read the LibriVox transcripts: {0}")]
    Transcripts(std::io::Error),
    /// A clip could not be read.
    #[error(transparent)]
    Clip(#[from] ReadSpeechError),
    /// A clip could not be aligned with its transcript.
    #[error(transparent)]
    Align(#[from] AlignError),
}

/// One reader, all clips one after the other with a pause of 1.2 s between them.
///
/// # Errors
///
/// The Debian package is not installed or PocketSphinx cannot align a clip.
pub fn meeting(directory: &Path, aligner: &Aligner, seed: u64) -> Result<Meeting, LibrivoxError> {
    let transcripts = directory.join("transcription");
    if !transcripts.exists() {
        return Err(LibrivoxError::Missing(transcripts));
    }
    let transcripts = std::fs::read_to_string(transcripts).map_err(LibrivoxError::Transcripts)?;
    let mut track = SpeakerTrack::new("reader");
    let mut clock = 1.0;
    for (name, text) in transcripts.lines().filter_map(parse_transcript) {
        let pcm = read_mono(&directory.join(format!("{name}.wav")))?;
        let mut clip = aligner.align(pcm, text)?;
        clip.normalise(-20.0);
        clock = track.place(&clip, clock) + 1.2;
    }
    Ok(Meeting::new(vec![track], clock, seed))
}

/// Split `<s> the words </s> (clip-name)` into name and words.
fn parse_transcript(line: &str) -> Option<(&str, &str)> {
    let (text, name) = line.trim().strip_suffix(')')?.rsplit_once('(')?;
    let text = text.trim().strip_prefix("<s>")?.strip_suffix("</s>")?;
    Some((name, text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_line_is_words_and_a_name() {
        assert_eq!(
            parse_transcript("<s> he was not </s> (clip-0880)"),
            Some(("clip-0880", "he was not"))
        );
        assert_eq!(parse_transcript("he was not"), None);
    }

    #[test]
    fn a_missing_package_is_named() {
        let error = LibrivoxError::Missing(PathBuf::from("/x")).to_string();
        assert!(error.contains("pocketsphinx-testdata"), "{error}");
    }
}
