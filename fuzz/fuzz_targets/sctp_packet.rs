#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hive_media::fuzzing::sctp_packet(data));
