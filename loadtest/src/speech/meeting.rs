//! Several speakers on one clock.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{CLIP_RATE, Clip, Word};

/// RMS of the room tone under the speech, dBFS.
///
/// A microphone is never digitally silent; and packets of tone are all different, so that a
/// forwarded one can be told from its neighbours.
const ROOM_TONE_DBFS: f32 = -72.0;

/// What one speaker says on the meeting's clock.
#[derive(Debug, Clone)]
pub struct SpeakerTrack {
    /// Identity in the room.
    pub identity: String,
    /// Mono samples at [`CLIP_RATE`], from the meeting's start.
    pub pcm: Vec<f32>,
    /// Words, seconds from the meeting's start, ascending.
    pub words: Vec<Word>,
}

impl SpeakerTrack {
    /// A speaker who has not said anything.
    pub fn new(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            pcm: Vec::new(),
            words: Vec::new(),
        }
    }

    /// Say a clip at a time and return when it is over, both in seconds on the meeting's clock.
    ///
    /// Clips of one speaker do not overlap: a clip that would start inside the previous one is
    /// said right after it.
    pub fn place(&mut self, clip: &Clip, at: f64) -> f64 {
        let start = ((at.max(0.0) * f64::from(CLIP_RATE)).round() as usize).max(self.pcm.len());
        self.pcm.resize(start, 0.0);
        self.pcm.extend_from_slice(&clip.pcm);
        let offset = start as f64 / f64::from(CLIP_RATE);
        self.words.extend(clip.words.iter().map(|word| Word {
            text: word.text.clone(),
            start: word.start + offset,
            end: word.end + offset,
        }));
        offset + clip.seconds()
    }
}

/// All speakers, each as long as the meeting.
#[derive(Debug, Clone)]
pub struct Meeting {
    /// One track a speaker, all of one length.
    pub tracks: Vec<SpeakerTrack>,
}

impl Meeting {
    /// Bring tracks to one length (`seconds`, or the longest track) and lay room tone under them.
    pub fn new(mut tracks: Vec<SpeakerTrack>, seconds: f64, seed: u64) -> Self {
        let length = tracks
            .iter()
            .map(|track| track.pcm.len())
            .max()
            .unwrap_or(0)
            .max((seconds * f64::from(CLIP_RATE)) as usize);
        // Uniform noise of amplitude a has an RMS of a/√3.
        let amplitude = 10f32.powf(ROOM_TONE_DBFS / 20.0) * 3f32.sqrt();
        for (number, track) in tracks.iter_mut().enumerate() {
            let mut rng = SmallRng::seed_from_u64(seed.wrapping_add(number as u64));
            track.pcm.resize(length, 0.0);
            for sample in &mut track.pcm {
                *sample += rng.random_range(-amplitude..amplitude);
            }
        }
        Self { tracks }
    }

    /// Length of the meeting, seconds.
    pub fn seconds(&self) -> f64 {
        self.tracks
            .first()
            .map_or(0.0, |track| track.pcm.len() as f64 / f64::from(CLIP_RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(seconds: f64) -> Clip {
        Clip {
            pcm: vec![0.5; (seconds * f64::from(CLIP_RATE)) as usize],
            words: vec![Word {
                text: "word".to_owned(),
                start: 0.1,
                end: 0.2,
            }],
        }
    }

    #[test]
    fn words_move_with_their_clip() {
        let mut track = SpeakerTrack::new("a");
        assert!((track.place(&clip(1.0), 2.0) - 3.0).abs() < 1e-9);
        assert!((track.words[0].start - 2.1).abs() < 1e-9);
    }

    #[test]
    fn clips_of_one_speaker_never_overlap() {
        let mut track = SpeakerTrack::new("a");
        track.place(&clip(1.0), 0.0);
        assert!((track.place(&clip(1.0), 0.5) - 2.0).abs() < 1e-9);
        assert!(track.words[0].end < track.words[1].start);
    }

    #[test]
    fn tracks_have_one_length_and_the_same_tone_for_the_same_seed() {
        let make = |seed| {
            let mut long = SpeakerTrack::new("a");
            long.place(&clip(1.0), 1.0);
            Meeting::new(vec![long, SpeakerTrack::new("b")], 3.0, seed)
        };
        let meeting = make(7);
        assert!((meeting.seconds() - 3.0).abs() < 1e-9);
        assert_eq!(meeting.tracks[0].pcm.len(), meeting.tracks[1].pcm.len());
        assert_eq!(meeting.tracks[1].pcm, make(7).tracks[1].pcm);
        assert_ne!(meeting.tracks[1].pcm, make(8).tracks[1].pcm);
    }
}
