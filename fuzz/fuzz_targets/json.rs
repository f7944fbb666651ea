//! libFuzzer's way into `otlet_fuzz::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::json(data));
