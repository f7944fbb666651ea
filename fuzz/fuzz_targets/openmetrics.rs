//! libFuzzer's way into `otlet_fuzz::openmetrics`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::openmetrics(data));
