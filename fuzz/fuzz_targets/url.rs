//! libFuzzer's way into `otlet_fuzz::url`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::url(data));
