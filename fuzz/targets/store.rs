//! libFuzzer drives `store`: stores with damaged rows (`crates/fuzz`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sturdy_fuzz::run("store", data));
