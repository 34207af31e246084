#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| hive_media::fuzzing::sdp_fragment(text));
