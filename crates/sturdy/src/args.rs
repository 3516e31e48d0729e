//! What can be typed after `sturdy`.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A durable object-capability kernel: runs JavaScript vats whose state, messages and answers survive anything.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a cluster of vats, or go on running it, and call its objects.
    Run(RunArgs),
    /// Make a folder with a working example to begin from.
    New(NewArgs),
    /// Look into a store that nothing is running in.
    Store(StoreArgs),
}

const RUN_HELP: &str = "\
Calls look like this; arguments are JavaScript literals and references:

    counter.increment(3)
    alice.pay(bob, 'gold', 5n)
    $1.getBalance()

Each vat's root object is known by the vat's name, that of the bootstrap vat also as `root`. A
result that is or holds references gives them the names `$1`, `$2` and so on, until the end of the
session; `ko5` names a reference directly.

Without --call, calls are read from the terminal (`:help` lists more commands) or, line by line,
from a pipe; empty lines and lines that begin with `#` are skipped. The exit code is 1 if any of
them failed.

The first run launches the cluster and stores its code; later runs go on where the last one ended,
however it ended, with the stored code. When the files have changed since, --reload starts the
changed vats with the new code over their old state; a vat that does not start keeps its old code.";

/// `sturdy run`.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub struct RunArgs {
    /// A cluster file (cluster.json), or a vat's module (vat.js, vat.ts) as a cluster of one.
    pub file: PathBuf,
    /// The directory that holds the store. It is made if it is missing.
    #[arg(long, value_name = "DIR", default_value = ".sturdy")]
    pub home: PathBuf,
    /// Make this call, print its result and exit. Can be given several times.
    #[arg(long, value_name = "CALL")]
    pub call: Vec<String>,
    /// Print one JSON object per call.
    #[arg(long)]
    pub json: bool,
    /// Start vats whose files have changed with their new code.
    #[arg(long)]
    pub reload: bool,
    /// Listen for other kernels on this multiaddr, such as /ip4/127.0.0.1/tcp/0 (any free port of this machine only),
    /// /ip4/0.0.0.0/tcp/4001, /ip4/0.0.0.0/udp/4001/quic-v1 or /ip4/0.0.0.0/tcp/4002/ws. Can be given several times.
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Be found through this relay: a multiaddr that ends with /p2p/ and the relay's peer id. Can be given several
    /// times. Without --listen and --relay there is no network.
    #[arg(long, value_name = "MULTIADDR")]
    pub relay: Vec<String>,
    /// A name for the call: the same name again is the same call, in this run or a later one. It is made once, and
    /// its answer is printed each time, until --forget (or a day after it was answered). Use it to repeat a call
    /// safely when you do not know whether it was made.
    #[arg(long, value_name = "ID", requires = "call")]
    pub request_id: Option<String>,
    /// Forget the answer after printing it: the same request id is a new call from then on.
    #[arg(long, requires = "request_id")]
    pub forget: bool,
}

/// `sturdy new`.
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// The folder to make. Its last part is also the vat's name: letters, digits and `_`, beginning with a letter.
    pub name: PathBuf,
}

/// `sturdy store`.
#[derive(Debug, clap::Args)]
pub struct StoreArgs {
    /// What to do with the store.
    #[command(subcommand)]
    pub action: StoreAction,
}

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub enum StoreAction {
    /// Verify the files, then recount everything in them. The exit code is 1 if anything is wrong.
    Check(StorePlace),
    /// Print every row as text. The form is for eyes and may change.
    Dump(StorePlace),
    /// Print what each table takes.
    Stats(StorePlace),
}

/// Which store.
#[derive(Debug, clap::Args)]
pub struct StorePlace {
    /// The directory that holds the store.
    #[arg(long, value_name = "DIR", default_value = ".sturdy")]
    pub home: PathBuf,
    /// Print JSON: one object per row or per table.
    #[arg(long)]
    pub json: bool,
}
