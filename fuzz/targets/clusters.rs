//! libFuzzer drives `clusters`: cluster files (`crates/fuzz`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sturdy_fuzz::run("clusters", data));
