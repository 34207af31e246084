#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hive_media::fuzzing::video_payload(data));
