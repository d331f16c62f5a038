#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| corelane::fuzzing::config_value(data));
