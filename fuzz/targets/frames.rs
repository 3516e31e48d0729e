//! libFuzzer drives `frames`: the splitter of frames (`crates/fuzz`).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sturdy_fuzz::run("frames", data));
