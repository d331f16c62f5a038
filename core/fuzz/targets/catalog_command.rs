#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| corelane::fuzzing::catalog_command(data));
