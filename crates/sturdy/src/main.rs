//! The `sturdy` command: runs vats, calls them, and looks after their store.
//!
//! What always holds: results, and nothing else, go to the standard output; everything said about them goes to the
//! standard error; the exit code is 0 only if all that was asked was done. No input makes it panic. What it does to a
//! kernel it does through a [`sturdy_daemon::Handle`], or through a [`sturdy_daemon::RestingKernel`] while nothing runs.

mod args;
mod colon;
mod converse;
mod describe;
mod differences;
mod identity;
mod new;
mod out;
mod patience;
mod peers;
mod prompt;
mod relay;
mod rest;
mod run;
mod session;
mod show;
mod signals;
mod store_command;
mod waiting;
mod which;

use args::{Args, Command};
use clap::Parser as _;
use out::End;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misread(&error),
    };
    let ended = match args.command {
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

/// The arguments were not understood, or ask for help. What was typed is repeated without the secrets of URLs.
fn misread(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Help that nobody reads any more is no failure.
        let _unread = error.print();
        return ExitCode::SUCCESS;
    }
    out::note(error.render().to_string().trim_end());
    ExitCode::from(2)
}
