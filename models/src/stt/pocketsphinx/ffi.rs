//! The part of PocketSphinx 5.1's C interface that is used, declared by hand from `pocketsphinx.h`.

use std::ffi::{c_char, c_double, c_int, c_long};

/// `ps_config_t`.
#[repr(C)]
pub(super) struct Config {
    _opaque: [u8; 0],
}

/// `ps_decoder_t`.
#[repr(C)]
pub(super) struct RawDecoder {
    _opaque: [u8; 0],
}

/// `ps_seg_t`.
#[repr(C)]
pub(super) struct Segment {
    _opaque: [u8; 0],
}

/// `logmath_t`.
#[repr(C)]
pub(super) struct LogMath {
    _opaque: [u8; 0],
}

/// `ERR_FATAL` of `err_lvl_t`.
pub(super) const LOG_FATAL: c_int = 4;

unsafe extern "C" {
    pub(super) fn err_set_loglevel(level: c_int) -> c_int;

    pub(super) fn ps_config_init(definitions: *const std::ffi::c_void) -> *mut Config;
    pub(super) fn ps_config_free(config: *mut Config) -> c_int;
    pub(super) fn ps_config_set_str(
        config: *mut Config,
        name: *const c_char,
        value: *const c_char,
    ) -> *const std::ffi::c_void;
    pub(super) fn ps_config_set_int(
        config: *mut Config,
        name: *const c_char,
        value: c_long,
    ) -> *const std::ffi::c_void;
    pub(super) fn ps_config_set_float(
        config: *mut Config,
        name: *const c_char,
        value: c_double,
    ) -> *const std::ffi::c_void;
    pub(super) fn ps_config_set_bool(
        config: *mut Config,
        name: *const c_char,
        value: c_int,
    ) -> *const std::ffi::c_void;

    pub(super) fn ps_init(config: *mut Config) -> *mut RawDecoder;
    pub(super) fn ps_free(decoder: *mut RawDecoder) -> c_int;
    pub(super) fn ps_get_logmath(decoder: *mut RawDecoder) -> *mut LogMath;
    pub(super) fn logmath_exp(math: *mut LogMath, log: c_int) -> c_double;
    pub(super) fn ps_get_cmn(decoder: *mut RawDecoder, update: c_int) -> *const c_char;
    pub(super) fn ps_set_cmn(decoder: *mut RawDecoder, cmn: *const c_char) -> c_int;
    pub(super) fn ps_start_stream(decoder: *mut RawDecoder) -> c_int;
    pub(super) fn ps_start_utt(decoder: *mut RawDecoder) -> c_int;
    pub(super) fn ps_process_raw(
        decoder: *mut RawDecoder,
        samples: *const i16,
        count: usize,
        no_search: c_int,
        full_utterance: c_int,
    ) -> c_int;
    pub(super) fn ps_end_utt(decoder: *mut RawDecoder) -> c_int;
    pub(super) fn ps_seg_iter(decoder: *mut RawDecoder) -> *mut Segment;
    pub(super) fn ps_seg_next(segment: *mut Segment) -> *mut Segment;
    pub(super) fn ps_seg_word(segment: *mut Segment) -> *const c_char;
    pub(super) fn ps_seg_frames(segment: *mut Segment, first: *mut c_int, last: *mut c_int);
    pub(super) fn ps_seg_prob(
        segment: *mut Segment,
        acoustic: *mut c_int,
        language: *mut c_int,
        backoff: *mut c_int,
    ) -> c_int;
}
