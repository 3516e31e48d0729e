//! The `sturdy` command: runs vats, calls them, and looks after their store.
//!
//! What always holds: results, and nothing else, go to the standard output; everything said about them goes to the
//! standard error; the exit code is 0 only if all that was asked was done. No input makes it panic. What it does to a
//! kernel it does through a [`sturdy_daemon::Handle`], or through a [`sturdy_daemon::RestingKernel`] while nothing runs.

mod args;
mod colon;
mod describe;
mod differences;
mod identity;
mod new;
mod out;
mod peers;
mod prompt;
mod relay;
mod rest;
mod run;
mod session;
mod show;
mod store_command;

use args::{Args, Command};
use clap::Parser as _;
use out::End;
use std::process::ExitCode;

fn main() -> ExitCode {
    let ended = match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::New(args) => new::new(&args),
        Command::Store(args) => store_command::store(&args),
        Command::Url(args) => rest::url(&args),
        Command::Peers(args) => rest::peers(&args),
        Command::Reset(args) => rest::reset(&args),
        Command::Identity(args) => identity::identity(&args),
        Command::Relay(args) => relay::relay(&args),
    };
    match ended {
        // When whoever read the results has gone away, there is nobody to tell.
        Ok(()) | Err(End::ReaderGone) => ExitCode::SUCCESS,
        Err(End::Told) => ExitCode::FAILURE,
        Err(End::Error(text)) => {
            out::note(&format!("Error: {text}"));
            ExitCode::FAILURE
        }
    }
}
