//! The safe wrapper of one PocketSphinx decoder; every `unsafe` of the recogniser is here.

use std::ffi::{CStr, CString, c_int};
use std::ptr::{self, NonNull};
use std::sync::Once;

use super::ffi;
use super::model::{CreateDecoderError, Model};
use crate::stt::SttError;
use crate::stt::cmn::CEPSTRA;

/// A word, filler or silence of a hypothesis, in frames of 10 ms.
pub(super) struct RawSegment {
    pub(super) text: String,
    pub(super) first_frame: u32,
    pub(super) last_frame: u32,
    pub(super) probability: f32,
}

/// An owned `ps_decoder_t`.
pub(super) struct Raw {
    decoder: NonNull<ffi::RawDecoder>,
}

// SAFETY: a decoder holds no thread-local state (PocketSphinx is built without its thread-local random
// numbers, and dithering is off), and `Raw` neither clones the pointer nor is `Sync`.
unsafe impl Send for Raw {}

/// An owned `ps_config_t`, freed whatever happens.
struct Config(NonNull<ffi::Config>);

impl Config {
    fn new() -> Option<Config> {
        // SAFETY: NULL asks for the standard set of parameters.
        NonNull::new(unsafe { ffi::ps_config_init(ptr::null()) }).map(Config)
    }

    fn text(&self, name: &CStr, value: &CStr) -> bool {
        // SAFETY: both strings are NUL-terminated and copied by the callee.
        !unsafe { ffi::ps_config_set_str(self.0.as_ptr(), name.as_ptr(), value.as_ptr()) }.is_null()
    }

    fn int(&self, name: &CStr, value: i32) -> bool {
        // SAFETY: as above.
        !unsafe { ffi::ps_config_set_int(self.0.as_ptr(), name.as_ptr(), value.into()) }.is_null()
    }

    fn float(&self, name: &CStr, value: f64) -> bool {
        // SAFETY: as above.
        !unsafe { ffi::ps_config_set_float(self.0.as_ptr(), name.as_ptr(), value) }.is_null()
    }

    fn flag(&self, name: &CStr, value: bool) -> bool {
        // SAFETY: as above.
        !unsafe { ffi::ps_config_set_bool(self.0.as_ptr(), name.as_ptr(), value.into()) }.is_null()
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: owned, and the decoder retains its own reference.
        unsafe { ffi::ps_config_free(self.0.as_ptr()) };
    }
}

impl Raw {
    /// Loads the model: 0.2–0.7 s and about 100 MB.
    pub(super) fn new(model: &Model) -> Result<Raw, CreateDecoderError> {
        static QUIET: Once = Once::new();
        // SAFETY: sets a global level; once, before any decoder exists that could be logging.
        QUIET.call_once(|| unsafe {
            ffi::err_set_loglevel(ffi::LOG_FATAL);
        });
        let settings = model.settings();
        let path = |path: &std::path::Path| {
            CString::new(path.as_os_str().as_encoded_bytes())
                .map_err(|_| CreateDecoderError::Refused)
        };
        let config = Config::new().ok_or(CreateDecoderError::Refused)?;
        let accepted = config.text(c"loglevel", c"FATAL")
            && config.text(c"hmm", &path(&model.acoustic())?)
            && config.text(c"lm", &path(&model.language())?)
            && config.text(c"dict", &path(&model.dictionary())?)
            && config.float(c"samprate", f64::from(crate::stt::SAMPLE_RATE))
            && config.text(c"cmn", c"live")
            && config.float(c"lw", settings.language_weight)
            && config.int(c"maxhmmpf", settings.max_hmms_per_frame)
            && config.flag(c"fwdflat", false)
            && config.flag(c"bestpath", true);
        if !accepted {
            return Err(CreateDecoderError::Refused);
        }
        // SAFETY: the configuration is valid and retained by the decoder.
        let decoder = unsafe { ffi::ps_init(config.0.as_ptr()) };
        NonNull::new(decoder)
            .map(|decoder| Raw { decoder })
            .ok_or(CreateDecoderError::Refused)
    }

    /// Opens an utterance with the noise estimate of the previous one forgotten.
    pub(super) fn start(&mut self) -> Result<(), SttError> {
        // SAFETY: the decoder is owned and alive, here and below.
        unsafe {
            // Fails only when noise removal is off, when there is nothing to forget.
            ffi::ps_start_stream(self.decoder.as_ptr());
            check("ps_start_utt", ffi::ps_start_utt(self.decoder.as_ptr()))
        }
    }

    pub(super) fn process(&mut self, samples: &[i16]) -> Result<(), SttError> {
        // SAFETY: the pointer and the count describe the slice, which is only read.
        check("ps_process_raw", unsafe {
            ffi::ps_process_raw(self.decoder.as_ptr(), samples.as_ptr(), samples.len(), 0, 0)
        })
    }

    pub(super) fn end(&mut self) -> Result<(), SttError> {
        // SAFETY: see `start`.
        check("ps_end_utt", unsafe {
            ffi::ps_end_utt(self.decoder.as_ptr())
        })
    }

    /// The mean in use; with `update`, that of the 500 imaginary frames of the last [`Raw::set_mean`]
    /// and all since.
    pub(super) fn mean(&mut self, update: bool) -> Result<[f64; CEPSTRA], SttError> {
        let failed = || SttError::Engine {
            operation: "ps_get_cmn",
        };
        // SAFETY: the string belongs to the decoder and is read before the next call.
        let text = unsafe {
            let text = ffi::ps_get_cmn(self.decoder.as_ptr(), update.into());
            if text.is_null() {
                return Err(failed());
            }
            CStr::from_ptr(text).to_str().map_err(|_| failed())?
        };
        let mut mean = [0.0; CEPSTRA];
        for (value, text) in mean.iter_mut().zip(text.split(',')) {
            *value = text.trim().parse().map_err(|_| failed())?;
        }
        Ok(mean)
    }

    pub(super) fn set_mean(&mut self, mean: &[f64; CEPSTRA]) -> Result<(), SttError> {
        let text: Vec<String> = mean.iter().map(|value| format!("{value:.4}")).collect();
        let text = CString::new(text.join(",")).map_err(|_| SttError::Engine {
            operation: "ps_set_cmn",
        })?;
        // SAFETY: the string is copied by the callee.
        check("ps_set_cmn", unsafe {
            ffi::ps_set_cmn(self.decoder.as_ptr(), text.as_ptr())
        })
    }

    /// The segments of the best hypothesis, silence and fillers included.
    pub(super) fn segments(&mut self) -> Vec<RawSegment> {
        let mut segments = Vec::new();
        // SAFETY: the iterator is advanced until NULL, which frees it; words belong to the dictionary.
        unsafe {
            let math = ffi::ps_get_logmath(self.decoder.as_ptr());
            let mut segment = ffi::ps_seg_iter(self.decoder.as_ptr());
            while !segment.is_null() {
                let (mut first, mut last): (c_int, c_int) = (0, 0);
                ffi::ps_seg_frames(segment, &mut first, &mut last);
                let log =
                    ffi::ps_seg_prob(segment, ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
                let word = ffi::ps_seg_word(segment);
                if !word.is_null() {
                    segments.push(RawSegment {
                        text: CStr::from_ptr(word).to_string_lossy().into_owned(),
                        first_frame: first.max(0).unsigned_abs(),
                        last_frame: last.max(0).unsigned_abs(),
                        probability: ffi::logmath_exp(math, log) as f32,
                    });
                }
                segment = ffi::ps_seg_next(segment);
            }
        }
        segments
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: owned, and never used again.
        unsafe { ffi::ps_free(self.decoder.as_ptr()) };
    }
}

fn check(operation: &'static str, code: c_int) -> Result<(), SttError> {
    if code < 0 {
        Err(SttError::Engine { operation })
    } else {
        Ok(())
    }
}
