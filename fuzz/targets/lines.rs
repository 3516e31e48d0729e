//! libFuzzer drives `lines`: the prompt's language (`crates/fuzz`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sturdy_fuzz::run("lines", data));
