//! What can be typed after `sturdy`.

use crate::patience;
use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
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
    /// Look into a store that nothing is running in, or put one back.
    Store(StoreArgs),
    /// The OCAP URLs that the kernel of a store has issued, while nothing runs in it.
    Url(UrlArgs),
    /// The peers that the kernel of a store knows, while nothing runs in it.
    Peers(PeersArgs),
    /// End everything in a store, for ever. Nobody can mistake what comes after for what was before.
    Reset(ResetArgs),
    /// Who a kernel is to its peers.
    Identity(IdentityArgs),
    /// Join kernels that cannot reach each other directly.
    Relay(RelayArgs),
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
from a pipe; empty lines and lines that begin with `#` are skipped. Each line is answered before the
next is read. A call whose line ends with `&` is not waited for: its result is told when it comes,
and Ctrl-C does the same to the call that a prompt waits for. The exit code is 1 if any of them
failed.

The first run launches the cluster and stores its code; later runs go on where the last one ended,
however it ended, with the stored code. When the files have changed since, --reload starts the
changed vats with the new code over their old state; a vat that does not start keeps its old code.";

/// `sturdy run`.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
pub struct RunArgs {
    /// A cluster file (cluster.json), or a vat's module (vat.js, vat.ts) as a cluster of one.
    pub file: PathBuf,
    /// The directory that holds the store. It is made if it is missing.
    #[arg(long, value_name = "DIR", default_value = ".sturdy")]
    pub home: PathBuf,
    /// Make this call, print its result and exit. Can be given several times.
    #[arg(long, value_name = "CALL")]
    pub call: Vec<String>,
    /// Read no calls: serve other kernels until SIGTERM or SIGINT, with --listen or --relay. For a kernel that runs as a
    /// service; without this the kernel ends with its input.
    #[arg(long, conflicts_with = "call")]
    pub serve: bool,
    /// Print one JSON object per answer.
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
    /// Others reach this kernel under this multiaddr, too: URLs and peers are told. It is for what this kernel cannot know,
    /// such as a port that a router hands on, or a name, for instance /dns4/home.example.org/tcp/4001. Can be given
    /// several times.
    #[arg(long, value_name = "MULTIADDR", requires = "listen")]
    pub reach: Vec<String>,
    /// Give a peer up after so many failed attempts to reach it in a row: what it was to answer is rejected with
    /// `CONNECTION_LOST`. Without this and --give-up-after it is waited for as long as it takes. `:peers patience` says
    /// something else for one peer.
    #[arg(long, value_name = "NUMBER", value_parser = patience::attempts)]
    pub give_up_attempts: Option<u64>,
    /// Give a peer up when an attempt to reach it fails so long after the first that failed, for instance 12h or 7d.
    #[arg(long, value_name = "SPAN", value_parser = patience::millis)]
    pub give_up_after: Option<u64>,
    /// A name for the call: the same name again is the same call, in this run or a later one. It is made once, and
    /// its answer is printed each time, until --forget (or a day after it was answered). Use it to repeat a call
    /// safely when you do not know whether it was made. That it was made before is said on the standard error; a call of
    /// another object under the same name is refused. If the process died while the call waited for another kernel, the
    /// answer is that the vat was restarted, also when the other kernel has done its part.
    #[arg(long, value_name = "ID", requires = "call", value_parser = NonEmptyStringValueParser::new())]
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
    /// Put a copy of a store in place. It begins another life, so that peers notice: what was under way between them and
    /// the kernel is rejected on both sides.
    Restore(RestoreArgs),
}

/// Which store.
#[derive(Debug, clap::Args)]
pub struct StorePlace {
    /// The directory that holds the store.
    #[arg(long, value_name = "DIR", default_value = ".sturdy", global = true)]
    pub home: PathBuf,
    /// Print JSON: one object per line.
    #[arg(long, global = true)]
    pub json: bool,
}

/// `sturdy store restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The copy: a file `store.sqlite`, or a directory in which one lies. It is only read.
    pub copy: PathBuf,
    /// If there is a store already, move it aside.
    #[arg(long)]
    pub force: bool,
    /// Where to.
    #[command(flatten)]
    pub place: StorePlace,
}

/// `sturdy url`.
#[derive(Debug, clap::Args)]
pub struct UrlArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub action: UrlAction,
}

/// What can be done with URLs at rest.
#[derive(Debug, Subcommand)]
pub enum UrlAction {
    /// List those that were issued and not ended. It does not show the URLs, which are secrets.
    List(StorePlace),
    /// Give nothing for a URL any more.
    Revoke {
        /// Its number, for instance url3.
        url: String,
        /// Which store.
        #[command(flatten)]
        place: StorePlace,
    },
}

/// `sturdy peers`.
#[derive(Debug, clap::Args)]
pub struct PeersArgs {
    /// What to do with them. Without it they are listed.
    #[command(subcommand)]
    pub action: Option<PeersAction>,
    /// Which store.
    #[command(flatten)]
    pub place: StorePlace,
}

/// What can be done with peers at rest.
#[derive(Debug, Subcommand)]
pub enum PeersAction {
    /// List them.
    List,
    /// Do not talk to a peer until `reconnect`.
    Close {
        /// Its number (r1), its peer id, or the beginning or end of its peer id.
        peer: String,
        /// Reject what it was to answer. Otherwise that waits.
        #[arg(long)]
        discard: bool,
    },
    /// Talk to a peer again that was closed or given up, as soon as a kernel runs in the store.
    Reconnect {
        /// Its number (r1), its peer id, or the beginning or end of its peer id.
        peer: String,
    },
    /// Do not wait for a peer any longer: what it was to answer is rejected.
    GiveUp {
        /// Its number (r1), its peer id, or the beginning or end of its peer id.
        peer: String,
    },
    /// Say how long a peer that cannot be reached is waited for. What is not given is as `sturdy run` says for all.
    Patience {
        /// Its number (r1), its peer id, or the beginning or end of its peer id.
        peer: String,
        /// Give it up after so many failed attempts in a row, or never.
        #[arg(long, value_name = "NUMBER", value_parser = patience::attempts)]
        attempts: Option<u64>,
        /// Give it up when an attempt fails so long after the first that failed, for instance 12h or 7d, or never.
        #[arg(long, value_name = "SPAN", value_parser = patience::millis)]
        after: Option<u64>,
    },
    /// Let go of everything that a peer holds here, and of everything that it gave.
    Forget {
        /// Its number (r1), its peer id, or the beginning or end of its peer id.
        peer: String,
    },
}

/// `sturdy reset`.
#[derive(Debug, clap::Args)]
pub struct ResetArgs {
    /// Become somebody else to all peers, too.
    #[arg(long)]
    pub identity: bool,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Which store.
    #[command(flatten)]
    pub place: StorePlace,
}

/// `sturdy identity`.
#[derive(Debug, clap::Args)]
pub struct IdentityArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub action: IdentityAction,
    /// Beside which store.
    #[command(flatten)]
    pub place: StorePlace,
}

/// What can be done with an identity.
#[derive(Debug, Subcommand)]
pub enum IdentityAction {
    /// Print the peer id.
    Show,
    /// Print the words (or the seed) from which it can be made again. They are the secret.
    Backup,
    /// Make it again from what `backup` has printed, read from the standard input.
    Restore(IdentityRestoreArgs),
    /// Become somebody else to all peers. Clusters go on; conversations end, and URLs that were issued lead nowhere.
    Renew {
        /// That is meant.
        #[arg(long)]
        yes: bool,
    },
}

/// `sturdy identity restore`.
#[derive(Debug, clap::Args)]
pub struct IdentityRestoreArgs {
    /// Read the words from this file.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Overwrite another identity.
    #[arg(long)]
    pub force: bool,
}

/// `sturdy relay`.
#[derive(Debug, clap::Args)]
pub struct RelayArgs {
    /// Listen on this multiaddr, for instance /ip4/0.0.0.0/tcp/4001. Can be given several times.
    #[arg(long, value_name = "MULTIADDR", required = true)]
    pub listen: Vec<String>,
    /// Others reach it under this multiaddr, too. Can be given several times.
    #[arg(long, value_name = "MULTIADDR")]
    pub announce: Vec<String>,
    /// Its identity lies in this file, which is made if it is missing. URLs and kernels name the relay by it, so each
    /// relay needs a file of its own, for as long as anybody uses it.
    #[arg(long, value_name = "FILE", default_value = ".sturdy/relay")]
    pub key: PathBuf,
    /// Connections at once.
    #[arg(long, value_name = "NUMBER")]
    pub connections: Option<NonZeroU32>,
    /// Kernels that it keeps a place for at once.
    #[arg(long, value_name = "NUMBER")]
    pub places: Option<NonZeroUsize>,
    /// Pairs that it joins at once.
    #[arg(long, value_name = "NUMBER")]
    pub circuits: Option<NonZeroUsize>,
    /// Bytes after which it parts a pair, which then joins again.
    #[arg(long, value_name = "BYTES")]
    pub circuit_bytes: Option<NonZeroU64>,
    /// Seconds after which it parts a pair, which then joins again.
    #[arg(long, value_name = "SECONDS")]
    pub circuit_secs: Option<NonZeroU32>,
    /// Print one JSON object per event.
    #[arg(long)]
    pub json: bool,
}
