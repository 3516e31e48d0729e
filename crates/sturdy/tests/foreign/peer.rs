//! The foreign peer's program, told what to do. Always: an order is answered before the next one is given; references stand
//! as they are on the wire, in the frame of whoever reads them.

use crate::common::kernels::{HANG, lines};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

/// A process that has any number of foreign peers.
pub struct Foreign {
    child: Child,
    told: Receiver<String>,
    orders: RefCell<(ChildStdin, u64)>,
}

/// One of them.
pub struct Peer<'f> {
    foreign: &'f Foreign,
    name: String,
    seed: u8,
    /// Its peer id.
    pub id: String,
    /// Where it listens, with its peer id.
    pub addresses: Vec<String>,
}

/// What became of a promise.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub rejected: bool,
    pub body: String,
    pub slots: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/foreign")
}

impl Foreign {
    /// The program, if it is installed.
    pub fn start() -> Option<Self> {
        let node = folder().join("node_modules/.bin/node");
        if !node.exists() {
            let missing = "the foreign peer is not installed: run `cargo xtask foreign`, which installs and runs it";
            assert!(std::env::var("STURDY_FOREIGN").as_deref() != Ok("required"), "{missing}");
            eprintln!("skipped: {missing}");
            return None;
        }
        let mut child = Command::new(node)
            .arg("peer.mjs")
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let told = lines(child.stdout.take().expect("it was asked for"));
        let orders = RefCell::new((child.stdin.take().expect("it was asked for"), 0));
        Some(Self { child, told, orders })
    }

    /// A peer whose identity follows from a number.
    pub fn peer(&self, name: &str, seed: u8, listen: &[&str]) -> Peer<'_> {
        let begun = self.order(name, "start", json!({ "seed": seed, "listen": listen }));
        let begun = begun.unwrap_or_else(|why| panic!("{name}: {why}"));
        let texts = |list: &Json| list.as_array().unwrap().iter().map(text).collect();
        let name = name.to_owned();
        Peer { foreign: self, name, seed, id: text(&begun["peer"]), addresses: texts(&begun["addresses"]) }
    }

    fn order(&self, name: &str, deed: &str, mut order: Json) -> Result<Json, String> {
        let mut orders = self.orders.borrow_mut();
        orders.1 += 1;
        let id = orders.1;
        order["id"] = id.into();
        order["as"] = name.into();
        order["do"] = deed.into();
        orders.0.write_all(format!("{order}\n").as_bytes()).expect("it listens");
        let line = self.told.recv_timeout(HANG).unwrap_or_else(|why| panic!("no answer to {deed} ({why})"));
        let mut answer: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        match &answer["failed"] {
            Json::String(why) => Err(why.clone()),
            _ => Ok(answer["ok"].take()),
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub fn text(value: &Json) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

impl Peer<'_> {
    /// Does something that is to succeed.
    pub fn does(&self, deed: &str, order: Json) -> Json {
        self.foreign.order(&self.name, deed, order).unwrap_or_else(|why| panic!("{} {deed}: {why}", self.name))
    }

    /// Does something that is to fail; returns why.
    pub fn fails(&self, deed: &str, order: Json) -> String {
        let failed = self.foreign.order(&self.name, deed, order);
        failed.expect_err("it fails")
    }

    /// Another host with the same identity and the same conversation.
    pub fn start_again(&self) {
        self.does("start", json!({ "seed": self.seed, "listen": [] }));
    }

    /// Opens a stream and greets; returns the line.
    pub fn dial(&self, address: &str) -> u64 {
        let met = self.does("dial", json!({ "address": address }));
        assert!(met["greeting"].is_string(), "{} was not greeted: {}", self.name, self.state());
        met["line"].as_u64().unwrap()
    }

    /// Opens a stream and says this first; returns the line.
    pub fn dial_saying(&self, address: &str, first: &[&str]) -> u64 {
        self.does("dial", json!({ "address": address, "first": first }))["line"].as_u64().unwrap()
    }

    /// Gets what a URL stands for.
    pub fn redeem(&self, url: &str) -> String {
        text(&self.does("redeem", json!({ "url": url }))["granted"])
    }

    /// Is to be refused; returns why.
    pub fn redeem_in_vain(&self, url: &str) -> String {
        text(&self.does("redeem", json!({ "url": url }))["refused"])
    }

    /// Calls a method, with arguments as smallcaps writes them; returns the result's name.
    pub fn call(&self, target: &str, method: &str, args: Json) -> String {
        self.call_with(target, method, args, &[])
    }

    /// The same with references.
    pub fn call_with(&self, target: &str, method: &str, args: Json, slots: &[&str]) -> String {
        let order = json!({ "target": target, "method": method, "args": args, "slots": slots });
        text(&self.does("call", order))
    }

    /// Waits for what became of a promise.
    pub fn outcome(&self, promise: &str) -> Outcome {
        let told = self.does("outcome", json!({ "promise": promise }));
        let slots = told["slots"].as_array().unwrap().iter().map(text).collect();
        Outcome { rejected: told["rejected"].as_bool().unwrap(), body: text(&told["body"]), slots }
    }

    /// Calls and waits; returns the body of the answer.
    pub fn ask(&self, target: &str, method: &str, args: Json) -> String {
        self.answer(&self.call(target, method, args))
    }

    /// The body of an answer that is to be no rejection.
    pub fn answer(&self, promise: &str) -> String {
        let outcome = self.outcome(promise);
        assert!(!outcome.rejected, "{outcome:?}");
        outcome.body
    }

    /// The body of an answer that is to be a rejection.
    pub fn refusal(&self, promise: &str) -> String {
        let outcome = self.outcome(promise);
        assert!(outcome.rejected, "{outcome:?}");
        outcome.body
    }

    /// The next message that somebody has to answer: its parameters.
    pub fn heard(&self) -> Json {
        self.does("heard", json!({}))["params"].take()
    }

    /// The next message is to be a call of this method of ours; returns its slots, then its result as we name it.
    pub fn called(&self, target: &str, method: &str) -> (Json, String) {
        let heard = self.heard();
        assert_eq!((&heard[0], &heard[1]), (&"message".into(), &target.into()), "{heard}");
        let body = text(&heard[2]["methargs"]["body"]);
        assert!(body.starts_with(&format!("#[\"{method}\",")), "{heard}");
        (heard[2]["methargs"].clone(), text(&heard[2]["result"]).replace('+', "-"))
    }

    /// Says a message of any content under the next number, which is returned.
    pub fn say(&self, method: &str, params: Json) -> u64 {
        self.does("say", json!({ "method": method, "params": params })).as_u64().unwrap()
    }

    /// Settles a promise.
    pub fn settle(&self, promise: &str, body: &str, slots: &[&str]) -> u64 {
        self.say("deliver", json!(["notify", [[promise, false, { "body": body, "slots": slots }]]]))
    }

    /// Waits until a message is acknowledged.
    pub fn is_heard(&self, seq: u64) {
        self.does("acknowledged", json!({ "seq": seq }));
    }

    /// Says a frame of any content.
    pub fn frame(&self, text: &str) {
        self.does("frame", json!({ "text": text }));
    }

    /// Waits until a line has ended.
    pub fn has_ended(&self, line: u64) {
        self.does("ended", json!({ "line": line }));
    }

    /// Acknowledges nothing any more.
    pub fn withholds(&self) {
        self.does("withholds", json!({ "withholds": true }));
    }

    /// Acknowledges again, and at once what it has heard.
    pub fn acknowledges(&self) {
        self.does("withholds", json!({ "withholds": false }));
    }

    /// How many messages it has said.
    pub fn said(&self) -> u64 {
        self.state()["said"].as_u64().unwrap()
    }

    pub fn state(&self) -> Json {
        self.does("state", json!({}))
    }

    /// Nothing that was heard would have harmed the reference.
    pub fn has_no_complaints(&self) {
        assert_eq!(self.state()["complaints"], json!([]), "{} complains", self.name);
    }
}
