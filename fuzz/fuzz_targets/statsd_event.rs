//! libFuzzer's way into `otlet_fuzz::statsd::statsd_event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::statsd::statsd_event(data));
