//! libFuzzer drives `events`: a node and everything that can happen to it (`crates/fuzz`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sturdy_fuzz::run("events", data));
