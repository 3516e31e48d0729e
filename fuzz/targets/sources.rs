//! libFuzzer drives `sources`: TypeScript modules (`crates/fuzz`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sturdy_fuzz::run("sources", data));
