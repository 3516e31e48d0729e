//! Runs one target on files, without libFuzzer: `cargo run --package sturdy-fuzz --example replay -- events <file>…`. With
//! `STURDY_FUZZ_TRACE` set, `events` prints its events and the effects of its commits.

use std::process::ExitCode;
use sturdy_fuzz::TARGETS;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("usage: replay <target> <file>…; targets are {}", names.join(", "));
        return ExitCode::from(2);
    };
    for file in arguments {
        match std::fs::read(&file) {
            Ok(data) => (target.run)(&data),
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        }
        println!("{file}: nothing is wrong");
    }
    ExitCode::SUCCESS
}
