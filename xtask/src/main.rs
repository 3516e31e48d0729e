//! `cargo xtask`: one command that runs every check. Always: a step's output is shown as it comes, and the first step
//! that fails ends the run. Not here: the rules themselves (`tidy`), and anything that users need.

mod check;
mod coverage;
mod foreign;
mod fuzz;
mod model;
mod sim;
mod soak;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask check     every check, in order; stops at the first that fails
cargo xtask tidy      only the rules of the house: directions, bans, sizes, headers
cargo xtask coverage  which lines of the quiet crates the simulator runs; writes docs/coverage.md; `--seeds 5000`
cargo xtask oracle    compare with the npm packages that the vat-side layer stands in for (needs Node and npm)
cargo xtask foreign   the tests against a peer on js-libp2p, which it installs (needs Node and npm)
cargo xtask fuzz      run the fuzz targets; `fuzz events --seconds 300` for one of them and its time
cargo xtask model     the link protocol explored exhaustively; `model --deep` with larger bounds
cargo xtask sim       worlds of kernels under faults; `sim --seed 7 --trace`, `sim --seeds 500`, `sim --help`
cargo xtask soak      the long proofs, noted in docs/soak.log; `soak kills --count 50` and the like for one of them";

/// What there is to say of one command: its line of the help, and what can be named after it.
fn help(command: &str) -> Result<String, String> {
    let beginning = format!("cargo xtask {command} ");
    let Some(line) = HELP.lines().find(|line| line.starts_with(&beginning)) else {
        return Err(format!("there is no command `{command}`; there are:\n{HELP}"));
    };
    let more = match command {
        "fuzz" => fuzz::help()?,
        "soak" => soak::help(),
        _ => String::new(),
    };
    Ok(format!("{line}{more}"))
}

fn main() -> ExitCode {
    if coverage::wraps() {
        return coverage::as_compiler();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["--help" | "-h" | "help", ..] => {
            println!("{HELP}");
            Ok(())
        }
        // The simulator has help of its own.
        [command, rest @ ..] if *command != "sim" && rest.iter().any(|word| matches!(*word, "--help" | "-h")) => {
            help(command).map(|text| println!("{text}"))
        }
        ["check"] => check::everything(),
        ["tidy"] => check::tidy(),
        ["coverage", arguments @ ..] => coverage::coverage(arguments),
        ["oracle"] => check::oracle(),
        ["foreign"] => foreign::foreign(),
        ["fuzz", arguments @ ..] => fuzz::fuzz(arguments),
        ["model", arguments @ ..] => model::model(arguments),
        ["sim", arguments @ ..] => sim::sim(arguments),
        ["soak", arguments @ ..] => soak::soak(arguments),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_help() {
        for line in HELP.lines() {
            let command = line.split_whitespace().nth(2).unwrap();
            assert!(help(command).unwrap().starts_with(line), "{line}");
        }
        for (command, name) in [("soak", "crash-points"), ("soak", "kills"), ("fuzz", "--seconds"), ("model", "--deep")]
        {
            assert!(help(command).unwrap().contains(name), "{command} {name}");
        }
        assert!(help("tea").unwrap_err().contains("cargo xtask check"));
    }
}
