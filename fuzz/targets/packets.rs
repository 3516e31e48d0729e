//! libFuzzer drives `packets`: the messages between kernels (`crates/fuzz`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sturdy_fuzz::run("packets", data));
