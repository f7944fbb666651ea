//! libFuzzer's way into `otlet_fuzz::statsd::statsd_service_check`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::statsd::statsd_service_check(data));
