//! libFuzzer's way into `otlet_fuzz::prometheus_text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::prometheus_text(data));
