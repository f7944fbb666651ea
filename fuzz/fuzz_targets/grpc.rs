//! libFuzzer's way into `otlet_fuzz::grpc::grpc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| otlet_fuzz::grpc::grpc(data));
