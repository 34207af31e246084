//! CMU Flite as a library: text in, samples and word times out.
//!
//! The word times are exact, not estimated: they are the ends of the segments that the
//! synthesiser itself laid out (`Word` → `SylStructure` → `Segment`).

use std::ffi::{CStr, CString, c_char, c_float, c_int, c_short, c_void};

use parking_lot::Mutex;

use super::{CLIP_RATE, Clip, Word};

/// flite keeps its lexicon and its voices in globals.
static FLITE: Mutex<bool> = Mutex::new(false);

#[repr(C)]
struct Wave {
    kind: *const c_char,
    sample_rate: c_int,
    num_samples: c_int,
    num_channels: c_int,
    samples: *const c_short,
}

#[allow(non_snake_case)]
unsafe extern "C" {
    fn flite_init() -> c_int;
    fn flite_synth_text(text: *const c_char, voice: *mut c_void) -> *mut c_void;
    fn utt_wave(utterance: *mut c_void) -> *const Wave;
    fn utt_relation(utterance: *const c_void, name: *const c_char) -> *mut c_void;
    fn relation_head(relation: *mut c_void) -> *mut c_void;
    fn item_next(item: *const c_void) -> *mut c_void;
    fn item_feat_string(item: *const c_void, name: *const c_char) -> *const c_char;
    fn flite_ffeature_float(item: *const c_void, path: *const c_char) -> c_float;
    fn delete_utterance(utterance: *mut c_void);
    fn register_cmu_us_slt(directory: *const c_char) -> *mut c_void;
    fn register_cmu_us_rms(directory: *const c_char) -> *mut c_void;
    fn register_cmu_us_kal16(directory: *const c_char) -> *mut c_void;
    fn register_cmu_us_awb(directory: *const c_char) -> *mut c_void;
}

/// flite's voices with 16 kHz output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// US English, female.
    Slt,
    /// US English, male.
    Rms,
    /// US English, male, diphones.
    Kal16,
    /// Scottish English, male.
    Awb,
}

impl Voice {
    /// Every voice, in the order speakers get them.
    pub const ALL: [Voice; 4] = [Voice::Slt, Voice::Rms, Voice::Kal16, Voice::Awb];

    /// flite's name of the voice.
    pub fn name(self) -> &'static str {
        match self {
            Voice::Slt => "slt",
            Voice::Rms => "rms",
            Voice::Kal16 => "kal16",
            Voice::Awb => "awb",
        }
    }

    /// The voice itself. The caller holds [`FLITE`] and has called `flite_init`.
    fn register(self) -> *mut c_void {
        let directory = std::ptr::null();
        // SAFETY: each returns a pointer to a static voice, built once; the caller serialises.
        unsafe {
            match self {
                Voice::Slt => register_cmu_us_slt(directory),
                Voice::Rms => register_cmu_us_rms(directory),
                Voice::Kal16 => register_cmu_us_kal16(directory),
                Voice::Awb => register_cmu_us_awb(directory),
            }
        }
    }
}

/// Why flite gave no speech.
#[derive(Debug, thiserror::Error)]
pub enum FliteError {
    /// C strings end at NUL.
    #[error("the text holds a NUL character; remove it")]
    Nul,
    /// flite returned no utterance or no samples.
    #[error("flite's voice {voice} made no speech of {text:?}; try plainer words")]
    Nothing {
        /// The voice asked.
        voice: &'static str,
        /// The text asked for.
        text: String,
    },
    /// The clip would not be at [`CLIP_RATE`].
    #[error("flite's voice {voice} speaks at {rate} Hz; only 16000 Hz voices are usable")]
    Rate {
        /// The voice asked.
        voice: &'static str,
        /// Its sample rate, Hz.
        rate: c_int,
    },
}

/// An utterance that is freed when dropped.
struct Utterance(*mut c_void);

impl Drop for Utterance {
    fn drop(&mut self) {
        // SAFETY: the pointer came from flite_synth_text and is freed once.
        unsafe { delete_utterance(self.0) };
    }
}

impl Utterance {
    fn samples(&self) -> Option<(c_int, Vec<f32>)> {
        // SAFETY: utt_wave returns null or a wave owned by the utterance, which outlives the copy.
        unsafe {
            let wave = utt_wave(self.0).as_ref()?;
            if wave.samples.is_null() || wave.num_samples <= 0 {
                return None;
            }
            let samples = std::slice::from_raw_parts(
                wave.samples,
                (wave.num_samples * wave.num_channels) as usize,
            );
            let pcm = samples
                .iter()
                .step_by(wave.num_channels.max(1) as usize)
                .map(|s| f32::from(*s) / 32_768.0)
                .collect();
            Some((wave.sample_rate, pcm))
        }
    }

    fn words(&self) -> Vec<Word> {
        let mut words: Vec<Word> = Vec::new();
        // SAFETY: the relation and its items belong to the utterance; null ends the list, and the
        // feature functions answer 0 and "0" for a path that leads nowhere.
        unsafe {
            let mut item = relation_head(utt_relation(self.0, c"Word".as_ptr()));
            while !item.is_null() {
                let name = item_feat_string(item, c"name".as_ptr());
                let text = CStr::from_ptr(name).to_string_lossy().into_owned();
                let start = f64::from(flite_ffeature_float(
                    item,
                    c"R:SylStructure.daughter1.daughter1.R:Segment.p.end".as_ptr(),
                ));
                let end = f64::from(flite_ffeature_float(
                    item,
                    c"R:SylStructure.daughtern.daughtern.R:Segment.end".as_ptr(),
                ));
                item = item_next(item);
                match words.last_mut() {
                    // flite splits "we'll" into "we" and "'ll".
                    Some(previous) if text.starts_with('\'') => {
                        previous.text.push_str(&text);
                        previous.end = end;
                    }
                    _ => words.push(Word { text, start, end }),
                }
            }
        }
        words
    }
}

/// Speak a text.
///
/// # Errors
///
/// The text holds a NUL, or the voice makes nothing of it.
pub fn synthesise(text: &str, voice: Voice) -> Result<Clip, FliteError> {
    let c_text = CString::new(text).map_err(|_| FliteError::Nul)?;
    let mut initialised = FLITE.lock();
    if !*initialised {
        // SAFETY: called once, under the lock.
        unsafe { flite_init() };
        *initialised = true;
    }
    let nothing = || FliteError::Nothing {
        voice: voice.name(),
        text: text.to_owned(),
    };
    // SAFETY: the text is NUL-terminated and the voice is registered.
    let utterance = unsafe { flite_synth_text(c_text.as_ptr(), voice.register()) };
    if utterance.is_null() {
        return Err(nothing());
    }
    let utterance = Utterance(utterance);
    let (rate, pcm) = utterance.samples().ok_or_else(nothing)?;
    if rate != CLIP_RATE as c_int {
        return Err(FliteError::Rate {
            voice: voice.name(),
            rate,
        });
    }
    Ok(Clip {
        pcm,
        words: utterance.words(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voice_speaks_and_times_its_words() {
        for voice in Voice::ALL {
            let clip = synthesise("we'll meet on Monday, at the old station.", voice).unwrap();
            let texts = clip
                .words
                .iter()
                .map(|w| w.text.to_lowercase())
                .collect::<Vec<_>>();
            assert_eq!(
                texts,
                [
                    "we'll", "meet", "on", "monday", "at", "the", "old", "station"
                ],
                "{}",
                voice.name()
            );
            for word in &clip.words {
                assert!(
                    word.start < word.end && word.end <= clip.seconds(),
                    "{word:?}"
                );
            }
            for pair in clip.words.windows(2) {
                assert!(pair[0].end <= pair[1].start + 1e-6, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_nul_is_refused() {
        assert!(matches!(
            synthesise("a\0b", Voice::Slt),
            Err(FliteError::Nul)
        ));
    }
}
