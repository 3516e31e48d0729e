//! A kernel in a real process with a real store, and peers on js-libp2p that speak `whatever` with it, over TCP and over
//! WebSocket: as the reference does, and in all the ways in which one can misbehave (wire-protocol §8).
//!
//! What is shown at the end of every test: an honest peer is still answered, nothing was said to it that would harm the
//! reference, and the store is sound. Needs what `cargo xtask foreign` installs; where that is missing, these tests say so
//! and do nothing, unless `STURDY_FOREIGN=required` is set, as `cargo xtask check` does.

#![expect(clippy::needless_pass_by_value, reason = "values are written down where they are passed")]

#[path = "../common/mod.rs"]
mod common;
mod misdeeds;
mod peer;
mod talk;
mod weaknesses;

use common::kernels::{HANG, Kernel, TCP, party};
use common::{Place, text};
use peer::{Foreign, Peer};
use serde_json::{Value as Json, json};
use std::cell::Cell;
use std::time::Instant;

const WEBSOCKET: &str = "/ip4/127.0.0.1/tcp/0/ws";

/// Offences of one peer that are told one by one (`KernelLimits::offence_notices_per_minute`).
const TOLD_SINGLY: u64 = 8;

/// A kernel called A, and who talks with it.
struct Stage<'f> {
    foreign: &'f Foreign,
    home: Place,
    /// None only while it is restarted.
    process: Option<Kernel>,
    /// What it listens on.
    road: &'static str,
    /// Where it listens, with its peer id.
    address: String,
    /// For the root of its only vat.
    url: String,
    honest: Guest<'f>,
    /// The number from which the last identity followed.
    seeds: Cell<u8>,
}

/// A foreign peer that has redeemed a URL.
struct Guest<'f> {
    peer: Peer<'f>,
    /// The kernel's root, as the peer writes it.
    root: String,
    /// The line on which it has greeted.
    line: u64,
}

/// The same play twice, each with a fresh kernel.
fn on_both_roads(play: impl Fn(&mut Stage<'_>)) {
    let Some(foreign) = Foreign::start() else { return };
    for road in [TCP, WEBSOCKET] {
        let home = party("A");
        let mut kernel = Kernel::start(&home, &["--listen", road]);
        let (address, url) = (full_address(&mut kernel), kernel.ask_text(":url issue root"));
        let honest = Guest::of(foreign.peer(&format!("honest {road}"), 1, &[]), &address, &url);
        let (process, seeds) = (Some(kernel), Cell::new(1));
        let mut stage = Stage { foreign: &foreign, home, process, road, address, url, honest, seeds };
        play(&mut stage);
        stage.end();
    }
}

fn full_address(kernel: &mut Kernel) -> String {
    kernel.note("listening on ").trim_start_matches("listening on ").to_owned()
}

impl<'f> Guest<'f> {
    fn of(peer: Peer<'f>, address: &str, url: &str) -> Self {
        let line = peer.dial(address);
        let root = peer.redeem(url);
        Self { peer, root, line }
    }

    /// Calls the root and waits; returns the body of the answer.
    fn ask(&self, method: &str, args: Json) -> String {
        self.peer.ask(&self.root, method, args)
    }

    /// Calls the root; returns the result's name.
    fn call(&self, method: &str, args: Json) -> String {
        self.peer.call(&self.root, method, args)
    }

    /// The kernel's vat has an object of this peer under this name.
    fn is_kept(&self, name: &str, object: &str) {
        let args = json!([name, "$0.Alleged: foreign"]);
        let kept = self.peer.call_with(&self.root, "keep", args, &[object]);
        self.peer.answer(&kept);
    }
}

impl<'f> Stage<'f> {
    fn kernel(&mut self) -> &mut Kernel {
        self.process.as_mut().expect("it runs")
    }

    /// Another peer, which nobody can dial, has greeted and redeemed the URL.
    fn join(&self, name: &str) -> Guest<'f> {
        Guest::of(self.peer(name, &[]), &self.address, &self.url)
    }

    /// Another peer, with an identity of its own.
    fn peer(&self, name: &str, listen: &[&str]) -> Peer<'f> {
        self.seeds.set(self.seeds.get() + 1);
        self.foreign.peer(&format!("{name} {}", self.road), self.seeds.get(), listen)
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// SIGKILL, and another process on the same store and address.
    fn restart(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
        let at = self.address.split("/p2p/").next().expect("it has a beginning").to_owned();
        self.process = Some(Kernel::start(&self.home, &["--listen", &at]));
        full_address(self.kernel());
        self.honest.line = self.honest.peer.dial(&self.address);
    }

    /// What `:peers` says of a peer.
    fn told_of(&mut self, peer: &Peer<'_>) -> Json {
        let peers = self.kernel().ask(":peers");
        peers.as_array().unwrap().iter().find(|told| told["peer"] == peer.id).cloned().unwrap_or_default()
    }

    /// Offences of a peer that were written down.
    fn offences(&mut self, peer: &Peer<'_>) -> u64 {
        self.told_of(peer)["offences"].as_u64().unwrap_or_default()
    }

    /// An offence is told, by these words, if it is one of the first of the peer within the minute; later ones are summed up.
    fn notes_offence(&mut self, before: u64, why: &str) {
        if before < TOLD_SINGLY {
            self.kernel().note(why);
        }
    }

    /// An honest peer is answered.
    fn still_serves(&self) {
        assert_eq!(self.honest.ask("name", json!([])), "#\"A\"");
    }

    /// Objects that the kernel knows.
    fn objects(&mut self) -> usize {
        let known = |kernel: &mut Kernel, number: u64| {
            kernel.say(&format!("ko{number}"));
            kernel.hear()["ok"] == true
        };
        let kernel = self.kernel();
        (1..100).filter(|number| known(kernel, *number)).count()
    }

    /// Waits until so many are left.
    fn reap_until(&mut self, left: usize) {
        let began = Instant::now();
        while self.objects() > left {
            assert!(began.elapsed() < HANG, "they are never collected");
            self.kernel().ask(":reap");
        }
        assert_eq!(self.objects(), left);
    }

    /// Nothing has come of it.
    fn end(mut self) {
        self.still_serves();
        self.honest.peer.has_no_complaints();
        let told = self.process.take().expect("it runs").end();
        assert!(!told.contains("panicked") && !told.contains("the kernel has stopped"), "{told}");
        self.home.is_sound();
    }

    /// Rows of a table of the store, which nobody may have open.
    fn rows(&self, table: &str) -> u64 {
        let stats = text(&self.home.store(&["stats", "--json"]).stdout);
        let rows = stats.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
        rows.into_iter().find(|row| row["table"] == table).map_or(0, |row| row["rows"].as_u64().unwrap())
    }
}
