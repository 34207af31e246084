#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hive_fuzz::turn::fuzzing::turn_stream(data));
