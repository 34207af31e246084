#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| hive_fuzz::fuzzing::join_request(text));
