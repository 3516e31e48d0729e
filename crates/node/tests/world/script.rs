//! A peer that says only what the test says: world 1 of two is mute, and its frames are written by hand.

use super::worlds::Worlds;
use sturdy_kernel::{Effect, UrlTerms};
use sturdy_types::{KernelLimits, OcapUrl};

/// What the scripted peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Sturdy,
    Whatever,
}

/// Alice in A, and the peer B. Alice's root has a URL, which B calls `url`.
pub struct Script {
    pub w: Worlds,
    pub url: OcapUrl,
    pub speaks: Speaks,
    /// The last number that B has used.
    pub seq: u64,
}

impl Script {
    /// B has dialled and greeted, and has said nothing else.
    pub fn new(limits: &KernelLimits, speaks: Speaks) -> Self {
        let mut w = Worlds::with_limits(limits, &[&["alice"], &[]]);
        w.mute = Some(1);
        w.stages[0].puppets.on("alice", "wait", "keep result");
        let object = w.stages[0].root("alice").into();
        let url = w.issue(0, object, UrlTerms::default());
        let mut script = Self { w, url, speaks, seq: 0 };
        script.meet();
        script
    }

    /// Like `new`, and B has alice as `ro-1`, and she has an object of B as `o-1`.
    pub fn acquainted(limits: &KernelLimits, speaks: Speaks) -> Self {
        let mut script = Self::new(limits, speaks);
        script.say(r#""method":"redeemURL","params":["url","k"]"#);
        script.w.stages[0].puppets.once("alice", "take", "keep $0");
        script.call("ro-1", "take", "rp+1", &["ro+1"]);
        script.frames();
        script.w.stages[0].told();
        script
    }

    /// B dials and greets.
    pub fn meet(&mut self) {
        self.w.dial(1, 0);
        let hello = hello(self.speaks, "bb", 1, None, [1, self.seq + 1, 0]);
        self.w.forge(0, &hello);
    }

    /// B dials and greets, and knows where it stands.
    pub fn meet_again(&mut self) {
        self.w.dial(1, 0);
        let ours = self.w.stages[0].node().store().incarnation().to_string();
        let pending = self.w.info(0, 1).received + 1;
        let hello = hello(self.speaks, "bb", 1, Some(&ours), [pending, self.seq + 1, self.heard()]);
        self.w.forge(0, &hello);
    }

    /// The highest number that B has seen.
    pub fn heard(&self) -> u64 {
        let seqs = self.w.heard.iter().filter(|(to, _)| *to == 1).filter_map(|(_, text)| number(text, "seq"));
        seqs.max().unwrap_or(0)
    }

    /// The next message of B.
    pub fn say(&mut self, content: &str) {
        self.seq += 1;
        let content = content.replace("[\"url\"", &format!("[\"{}\"", self.url.reveal()));
        let frame = format!("{{\"seq\":{},{content}}}", self.seq);
        self.w.forge(0, &frame);
    }

    pub fn call(&mut self, target: &str, method: &str, result: &str, slots: &[&str]) {
        self.say(&call(target, method, result, slots));
    }

    /// B settles a promise.
    pub fn settle(&mut self, promise: &str, body: &str, slots: &[&str]) {
        self.say(&notify(promise, body, slots));
    }

    /// B acknowledges everything that it has seen.
    pub fn acknowledge(&mut self) {
        let (ack, alloc) = (self.heard(), self.seq);
        let frame = match self.speaks {
            Speaks::Sturdy => format!("{{\"ack\":{ack},\"alloc\":{alloc}}}"),
            Speaks::Whatever => format!("{{\"ack\":{ack}}}"),
        };
        self.w.forge(0, &frame);
    }

    /// What A has said since the last time.
    pub fn frames(&mut self) -> Vec<String> {
        self.w.run_world(0);
        let before = self.w.heard.len();
        while self.w.carry_to(1) {}
        self.w.heard[before..].iter().filter(|(to, _)| *to == 1).map(|(_, text)| text.clone()).collect()
    }

    /// Time goes on, and the node hears of it.
    pub fn pass(&mut self, ms: u64) {
        self.w.stages[0].pass_time(ms);
        self.w.stages[0].event(sturdy_kernel::Event::Tick).expect("the node goes on");
        self.w.run_world(0);
    }

    pub fn received(&mut self) -> u64 {
        self.w.info(0, 1).received
    }

    pub fn offences(&mut self) -> u64 {
        self.w.info(0, 1).offences
    }

    /// Whether A has hung up everything.
    pub fn is_cut(&mut self) -> bool {
        self.w.stages[0].commit().expect("the node goes on");
        let hung_up = self.w.stages[0].wire.iter().any(|effect| matches!(effect, Effect::HangUp { .. }));
        hung_up || self.w.has_no_connection()
    }

    pub fn tell(&mut self, script: &str) {
        self.w.tell_later(0, "alice", script, &[]);
        self.w.run_world(0);
    }

    pub fn rows(&mut self, table: &str) -> usize {
        self.w.stages[0].census().get(table).copied().unwrap_or_default()
    }
}

/// A greeting: position is first pending, next to send, highest received.
pub fn hello(speaks: Speaks, incarnation: &str, conversation: u64, saw: Option<&str>, position: [u64; 3]) -> String {
    let [first_pending, next_send, highest_received] = position;
    let saw = saw.map_or("null".into(), |saw| format!("\"{saw}\""));
    let sturdy = match speaks {
        Speaks::Whatever => String::new(),
        Speaks::Sturdy => format!(
            r#","sturdy":{{"version":1,"conversation":{conversation},"saw":{saw},"firstPending":{first_pending},"nextSend":{next_send},"highestReceived":{highest_received}}}"#
        ),
    };
    format!(r#"{{"method":"handshake","params":{{"incarnationId":"{incarnation}"{sturdy}}}}}"#)
}

pub fn call(target: &str, method: &str, result: &str, slots: &[&str]) -> String {
    let args: Vec<String> = (0..slots.len()).map(|index| format!(r#"\"${index}\""#)).collect();
    format!(
        r##""method":"deliver","params":["message","{target}",{{"methargs":{{"body":"#[\"{method}\",[{}]]","slots":[{}]}},"result":"{result}"}}]"##,
        args.join(","),
        quoted(slots)
    )
}

pub fn notify(promise: &str, body: &str, slots: &[&str]) -> String {
    format!(
        r##""method":"deliver","params":["notify",[["{promise}",false,{{"body":"#{body}","slots":[{}]}}]]]"##,
        quoted(slots)
    )
}

pub fn garbage(kind: &str, names: &[&str]) -> String {
    format!(r#""method":"deliver","params":["{kind}",[{}]]"#, quoted(names))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",")
}

/// A number of a frame.
pub fn number(frame: &str, name: &str) -> Option<u64> {
    let (_, rest) = frame.split_once(&format!("\"{name}\":"))?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// The result that a call of A names, as B has to settle it.
pub fn result(frame: &str) -> Option<String> {
    let (_, rest) = frame.split_once("\"result\":\"rp+")?;
    Some(format!("rp-{}", rest.split('"').next()?))
}
