#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hive_fuzz::fuzzing::websocket_frames(data));
