//! libFuzzer's way into `otlet_fuzz::xray_documents`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::xray_documents(data));
