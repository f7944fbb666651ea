//! libFuzzer's way into `otlet_fuzz::otlp::stdout_lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::otlp::stdout_lines(data));
