//! libFuzzer's way into `otlet_fuzz::flags`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::flags(data));
