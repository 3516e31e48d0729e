//! libFuzzer drives `rows`: keys and records of the store (`crates/fuzz`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sturdy_fuzz::run("rows", data));
