//! libFuzzer's way into `otlet_fuzz::xray`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::xray(data));
