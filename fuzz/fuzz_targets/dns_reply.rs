//! libFuzzer's way into `otlet_fuzz::dns_reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::dns_reply(data));
