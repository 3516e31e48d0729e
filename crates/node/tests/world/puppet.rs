//! Vats whose behaviour is a short text, so that tests read like the protocol. Every syscall can be said, legal or
//! not, and every delivery is logged as a line of text.
//!
//! A script is a list of statements, separated by `;` or line ends:
//! `send T m(V, …) [-> P]`, `ask T m(V, …) -> P` (send and subscribe), `subscribe P`,
//! `resolve P = V [& P != V]…` (`!=` rejects), `drop R…`, `retire R…`, `retireExports R…`, `abandon R…`, `exit V`,
//! `fail V`, `follow` (subscribes to every promise that the delivery names), `illegal text`, `verdict CODE text`, `write key value`, `delete key`, `hold R none|weak|strong`,
//! `times N statement` (`{i}` counts from 1, `{j}` is one less), `keep result` (does nothing).
//! References are written as they are (`o-1`, `p+5`, `o+d1/2`), or `$0` (slot of the delivery), `result`, `target`.
//! Values are references, `[V, …]`, `undefined`, `error text`, `big:N` (N bytes), JSON, or bare text.
//! A script for a message that does not mention `result` fulfils it with undefined; so does a method without a script.

use super::{Engines, Settled, World, cluster, methargs};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{Display, Write};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use sturdy_kernel::{Answer, Refused, Request, Ticket};
use sturdy_smallcaps::{Value, decode, display::pretty};
use sturdy_types::{
    CapData, Delivery, Fatal, Hold, KRef, KernelLimits, Message, ObjectId, Outcome, Resolution, StartSpec, Syscall,
    VRef, VatId, VatLimits, Verdict, json_string,
};
use sturdy_vat::{Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, Vat};

#[derive(Default)]
struct Texts {
    always: BTreeMap<(String, String), String>,
    once: BTreeMap<(String, String), VecDeque<String>>,
    log: Vec<String>,
    durable: usize,
}

/// The scripts and the log that all puppets of a world share. It belongs to the test, so it survives every crash.
#[derive(Clone, Default)]
pub struct Puppets(Rc<RefCell<Texts>>);

impl Puppets {
    /// What `vat` does with every delivery of this kind: a method's name, or `startVat`, `notify`, ….
    pub fn on(&self, vat: &str, what: &str, script: &str) {
        self.0.borrow_mut().always.insert((vat.into(), what.into()), script.into());
    }

    /// What `vat` does with the next delivery of this kind; several are used up in order.
    pub fn once(&self, vat: &str, what: &str, script: &str) {
        self.0.borrow_mut().once.entry((vat.into(), what.into())).or_default().push_back(script.into());
    }

    /// A line of the log for what the puppets themselves cannot see.
    pub fn note(&self, line: &str) {
        self.0.borrow_mut().log.push(line.into());
    }

    /// What was delivered since the last time, a line each.
    pub fn told(&self) -> Vec<String> {
        self.0.borrow_mut().durable = 0;
        std::mem::take(&mut self.0.borrow_mut().log)
    }

    /// What was said so far is durable.
    pub fn committed(&self) {
        let mut texts = self.0.borrow_mut();
        texts.durable = texts.log.len();
    }

    /// What was said since is as if it had never been.
    pub fn crashed(&self) {
        let mut texts = self.0.borrow_mut();
        let durable = texts.durable;
        texts.log.truncate(durable);
    }

    fn act(&self, name: &str, delivery: &Delivery) -> Outcome {
        let (line, what) = describe(delivery);
        let mut texts = self.0.borrow_mut();
        texts.log.push(format!("{name} <- {line}"));
        let key = (name.to_owned(), what);
        let next = texts.once.get_mut(&key).and_then(VecDeque::pop_front);
        let script = next.or_else(|| texts.always.get(&key).cloned()).unwrap_or_default();
        drop(texts);
        run(&script, delivery)
    }
}

impl Runtime for Puppets {
    fn start(
        &mut self,
        _vat: VatId,
        spec: &StartSpec,
        _limits: &VatLimits,
        _sources: &dyn SourceReader,
        _state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable> {
        let name = spec.config.code.entry.clone();
        let outcome = self.act(&name, &Delivery::Start(Box::new(spec.clone())));
        let lives = outcome.verdict == Verdict::Done;
        let vat = lives.then(|| Box::new(Puppet { name, puppets: self.clone() }) as Box<dyn Vat>);
        Ok(StartedVat { vat, outcome })
    }
}

struct Puppet {
    name: String,
    puppets: Puppets,
}

impl Vat for Puppet {
    fn deliver(&mut self, delivery: &Delivery, _state: &dyn StateReader) -> Result<Outcome, StateUnreadable> {
        Ok(self.puppets.act(&self.name, delivery))
    }
}

/// The line of the log, and the name under which scripts are looked up.
fn describe(delivery: &Delivery) -> (String, String) {
    let kind = delivery.kind();
    let list = |vrefs: &[VRef]| {
        vrefs.iter().fold(kind.to_owned(), |mut line, vref| {
            let _ = write!(line, " {vref}");
            line
        })
    };
    let line = match delivery {
        Delivery::Start(spec) if spec.restarted => format!("{kind} again"),
        Delivery::Start(_) | Delivery::BringOutYourDead => kind.to_owned(),
        Delivery::Message { target, message } => return describe_message(*target, message),
        Delivery::Notify(batch) => {
            let told = batch.iter().map(|Resolution { promise, rejected, value }| {
                let how = if *rejected { "rejected" } else { "fulfilled" };
                format!("{promise} {how} {}", show(value))
            });
            format!("{kind} {}", told.collect::<Vec<_>>().join(", "))
        }
        Delivery::DropExports(vrefs) | Delivery::RetireExports(vrefs) | Delivery::RetireImports(vrefs) => list(vrefs),
    };
    (line, kind.to_owned())
}

fn describe_message(target: VRef, message: &Message<VRef>) -> (String, String) {
    let (method, args) = match decode(&message.methargs) {
        Ok(Value::Array(mut parts)) if parts.len() == 2 => {
            let args = pretty(&parts[1], &message.methargs.slots);
            (pretty::<VRef>(&parts.swap_remove(0), &[]).trim_matches('"').to_owned(), args)
        }
        other => panic!("{other:?} is no message"),
    };
    let args = args.strip_prefix('[').and_then(|args| args.strip_suffix(']')).unwrap_or(&args);
    let result = message.result.map(|result| format!(" result {result}")).unwrap_or_default();
    (format!("message {target} {method}({}){result}", shorten(args)), method)
}

/// A value as people read it.
pub fn show<R: Display>(value: &CapData<R>) -> String {
    match decode(value) {
        Ok(decoded) => shorten(&pretty(&decoded, &value.slots)),
        Err(_) => shorten(&value.body),
    }
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start = || line.chars().take(20).collect::<String>();
    if line.len() > 200 { format!("{}… ({} bytes)", start(), line.len()) } else { line }
}

/// The delivery that a script reacts to.
#[derive(Clone, Copy, Default)]
struct Heard<'d> {
    slots: &'d [VRef],
    result: Option<VRef>,
    target: Option<VRef>,
}

impl Heard<'_> {
    fn vref(&self, word: &str) -> Option<VRef> {
        match word {
            "result" => self.result,
            "target" => self.target,
            _ => match word.strip_prefix('$') {
                Some(index) => self.slots.get(index.parse::<usize>().ok()?).copied(),
                None => word.parse().ok(),
            },
        }
    }

    fn need(&self, word: &str) -> VRef {
        self.vref(word).unwrap_or_else(|| panic!("{word:?} is no reference here"))
    }

    fn all(&self, words: &str) -> Vec<VRef> {
        words.split_whitespace().map(|word| self.need(word)).collect()
    }

    fn value(&self, text: &str) -> CapData<VRef> {
        let mut slots = Vec::new();
        let json = self.json(text.trim(), &mut slots);
        CapData { body: format!("#{json}"), slots }
    }

    fn json(&self, text: &str, slots: &mut Vec<VRef>) -> String {
        if let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let items: Vec<String> = parts(inside).into_iter().map(|item| self.json(item, slots)).collect();
            return format!("[{}]", items.join(","));
        }
        if let Some(vref) = self.vref(text) {
            let index = slots.iter().position(|&slot| slot == vref).unwrap_or_else(|| {
                slots.push(vref);
                slots.len() - 1
            });
            return format!("\"{}{index}\"", if vref.is_promise() { '&' } else { '$' });
        }
        if let Some(message) = text.strip_prefix("error ") {
            return format!("{{\"#error\":{},\"name\":\"Error\"}}", json_string(message));
        }
        if let Some(size) = text.strip_prefix("big:") {
            return json_string(&"x".repeat(size.parse().expect("a size")));
        }
        match text {
            "undefined" => "\"#undefined\"".into(),
            "true" | "false" | "null" => text.into(),
            _ if text.starts_with(|first: char| first.is_ascii_digit() || first == '{' || first == '"') => text.into(),
            _ => json_string(text),
        }
    }
}

/// Splits at commas that stand in no brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(text[start..].trim());
    found.retain(|part| !part.is_empty());
    found
}

fn run(script: &str, delivery: &Delivery) -> Outcome {
    let (mut heard, named) = (Heard::default(), named(delivery));
    if let Delivery::Message { target, message } = delivery {
        heard = Heard { result: message.result, target: Some(*target), ..heard };
    }
    heard.slots = &named;
    let mut outcome = Outcome::default();
    for statement in script.split([';', '\n']).map(str::trim).filter(|statement| !statement.is_empty()) {
        say(statement, heard, &mut outcome);
    }
    if let Some(result) = heard.result
        && !script.contains("result")
    {
        let resolution = Resolution { promise: result, rejected: false, value: heard.value("undefined") };
        outcome.syscalls.push(Syscall::Resolve(vec![resolution]));
    }
    outcome
}

/// The references in what a delivery says.
fn named(delivery: &Delivery) -> Vec<VRef> {
    match delivery {
        Delivery::Message { message, .. } => message.methargs.slots.clone(),
        Delivery::Notify(batch) => batch.iter().flat_map(|settled| settled.value.slots.clone()).collect(),
        _ => Vec::new(),
    }
}

fn say(statement: &str, heard: Heard<'_>, outcome: &mut Outcome) {
    let (verb, rest) = statement.split_once(' ').unwrap_or((statement, ""));
    let rest = rest.trim();
    let pair = || rest.split_once(' ').unwrap_or((rest, ""));
    let syscall = match verb {
        "send" | "ask" => {
            let (call, result) = match rest.split_once("->") {
                Some((call, result)) => (call.trim(), Some(heard.need(result.trim()))),
                None => (rest, None),
            };
            outcome.syscalls.push(send(call, result, heard));
            match result {
                Some(result) if verb == "ask" => Syscall::Subscribe(result),
                _ => return,
            }
        }
        "subscribe" => Syscall::Subscribe(heard.need(rest)),
        "follow" => {
            let promises = heard.slots.iter().copied().filter(|vref| vref.is_promise());
            return outcome.syscalls.extend(promises.map(Syscall::Subscribe));
        }
        "resolve" => Syscall::Resolve(rest.split('&').map(|one| resolution(one, heard)).collect()),
        "drop" => Syscall::DropImports(heard.all(rest)),
        "retire" => Syscall::RetireImports(heard.all(rest)),
        "retireExports" => Syscall::RetireExports(heard.all(rest)),
        "abandon" => Syscall::AbandonExports(heard.all(rest)),
        "exit" => Syscall::Exit { failure: false, info: heard.value(rest) },
        "fail" => Syscall::Exit { failure: true, info: heard.value(rest) },
        "illegal" => Syscall::Illegal(rest.into()),
        "verdict" => {
            let (code, detail) = pair();
            outcome.verdict = Verdict::Failed(Fatal::from_text(code).expect("a code"), detail.into());
            return;
        }
        "write" => return outcome.state.writes.push((pair().0.into(), Some(heard.value(pair().1).body))),
        "delete" => return outcome.state.writes.push((rest.into(), None)),
        "hold" => {
            let hold = match pair().1 {
                "none" => Hold::None,
                "weak" => Hold::Weak,
                "strong" => Hold::Strong,
                other => panic!("{other:?} is no hold"),
            };
            return outcome.state.holds.push((heard.need(pair().0), hold));
        }
        "times" => {
            for i in 1..=pair().0.parse::<u64>().expect("a number") {
                let one = pair().1.replace("{i}", &i.to_string()).replace("{j}", &(i - 1).to_string());
                say(&one, heard, outcome);
            }
            return;
        }
        "keep" => return,
        other => panic!("no puppet can {other:?}"),
    };
    outcome.syscalls.push(syscall);
}

fn send(call: &str, result: Option<VRef>, heard: Heard<'_>) -> Syscall {
    let (target, call) = call.split_once(' ').expect("a target and a call");
    let (method, args) = call.trim().split_once('(').expect("a method with its arguments");
    let args = args.strip_suffix(')').expect("a closing bracket");
    let methargs = heard.value(&format!("[\"{method}\", [{args}]]"));
    Syscall::Send { target: heard.need(target), message: Message { methargs, result } }
}

fn resolution(text: &str, heard: Heard<'_>) -> Resolution<VRef> {
    let (promise, value) = text.split_once('=').expect("a promise = a value");
    let rejected = promise.ends_with('!');
    let promise = heard.need(promise.trim_end_matches('!').trim());
    Resolution { promise, rejected, value: heard.value(value) }
}

/// A world with puppets on it.
pub struct Stage {
    pub world: World,
    pub puppets: Puppets,
    roots: BTreeMap<String, ObjectId>,
}

impl Deref for Stage {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Stage {
    /// A kernel without vats.
    pub fn empty(engine: Engines, limits: KernelLimits) -> Self {
        let puppets = Puppets::default();
        let world = World::on_engine(engine, limits, Box::new(puppets.clone()));
        Self { world, puppets, roots: BTreeMap::new() }
    }

    /// A world made elsewhere.
    pub fn over(world: World, puppets: Puppets) -> Self {
        Self { world, puppets, roots: BTreeMap::new() }
    }

    /// A kernel with one subcluster. The first vat is the bootstrap vat: it has the others as `o-1`, `o-2`, ….
    pub fn on(engine: Engines, vats: &[&str]) -> Self {
        Self::with_limits(engine, KernelLimits::default(), vats)
    }

    pub fn with_limits(engine: Engines, limits: KernelLimits, vats: &[&str]) -> Self {
        let mut stage = Self::empty(engine, limits);
        stage.enter(vats);
        stage
    }

    /// One more subcluster.
    pub fn enter(&mut self, vats: &[&str]) {
        let roots = self.world.launch(vats);
        self.roots.extend(vats.iter().map(|vat| (*vat).to_owned()).zip(roots));
        self.puppets.told();
    }

    /// One more subcluster, or why not.
    pub fn try_enter(&mut self, vats: &[&str]) -> Result<(), Refused> {
        self.world.try_launch(cluster(vats)).map(|_| ())
    }

    pub fn root(&self, vat: &str) -> ObjectId {
        self.roots[vat]
    }

    /// Lets a vat do what the script says, in a message of the host that waits for the result.
    pub fn tell(&mut self, vat: &str, script: &str) -> String {
        self.tell_with(vat, script, &[])
    }

    pub fn tell_with(&mut self, vat: &str, script: &str, slots: &[KRef]) -> String {
        let ticket = self.tell_later(vat, script, slots);
        self.world.run();
        self.fate(ticket)
    }

    /// The same, not waiting for anything to happen.
    pub fn tell_later(&mut self, vat: &str, script: &str, slots: &[KRef]) -> Ticket {
        self.puppets.once(vat, "do", script);
        self.send_later(self.root(vat), "do", slots)
    }

    /// The same, under a name that outlives the process.
    pub fn tell_named(&mut self, request: &str, vat: &str, script: &str) -> Ticket {
        self.puppets.once(vat, "do", script);
        self.send_named(request, self.root(vat), "do")
    }

    pub fn send_named(&mut self, request: &str, target: impl Into<KRef>, method: &str) -> Ticket {
        let (target, methargs) = (target.into(), methargs(method, "[]", Vec::new()));
        self.world.ask_later(Request::Call { target, methargs, request: Some(request.into()) })
    }

    /// Ends a vat as an operator does.
    pub fn terminate(&mut self, vat: &str) {
        let vat = self.world.vat(vat);
        self.world.ask(Request::TerminateVat { vat, reason: "the test says so".into() }).expect("it is terminated");
    }

    /// Begins a new heap of a vat.
    pub fn restart(&mut self, vat: &str) -> Result<Answer, Refused> {
        let vat = self.world.vat(vat);
        self.world.ask(Request::RestartVat(vat))
    }

    /// The id of a vat of the first subcluster, without asking the kernel.
    pub fn vat_id(&self, vat: &str) -> VatId {
        VatId(u32::try_from(self.root(vat).0).expect("roots come first"))
    }

    /// A message of the host.
    pub fn send_later(&mut self, target: impl Into<KRef>, method: &str, slots: &[KRef]) -> Ticket {
        let args: Vec<String> = slots
            .iter()
            .enumerate()
            .map(|(index, slot)| format!("\"{}{index}\"", if matches!(slot, KRef::Promise(_)) { '&' } else { '$' }))
            .collect();
        self.world.call_later(target, methargs(method, &format!("[{}]", args.join(",")), slots.to_vec()))
    }

    /// A message of the host and its fate.
    pub fn send(&mut self, target: impl Into<KRef>, method: &str, slots: &[KRef]) -> String {
        let ticket = self.send_later(target, method, slots);
        self.world.run();
        self.fate(ticket)
    }

    /// What became of a message.
    pub fn fate(&self, ticket: Ticket) -> String {
        match self.world.answers.get(&ticket) {
            Some(Err(refused)) => format!("refused {refused}"),
            Some(Ok(Answer::Called(_))) => self.world.result(ticket).map_or("pending".into(), |settled| said(&settled)),
            other => panic!("{other:?}"),
        }
    }

    /// The references that a vat answers with.
    pub fn reveal(&mut self, vat: &str, refs: &str) -> Vec<KRef> {
        let ticket = self.tell_later(vat, &format!("resolve result = [{refs}]"), &[]);
        self.world.run();
        self.world.result(ticket).expect("it answers").value.slots
    }

    /// Everything that vats were told since the last time.
    pub fn told(&self) -> String {
        self.puppets.told().join("\n")
    }

    /// Compares what vats were told since the last time, lines of `do` and garbage requests apart.
    #[track_caller]
    pub fn heard(&self, expect: &str) {
        let told: Vec<String> = self
            .puppets
            .told()
            .into_iter()
            .filter(|line| !line.contains(" do(") && !line.ends_with("bringOutYourDead"))
            .collect();
        let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(told, expect, "\nheard:\n{}", told.join("\n"));
    }
}

/// A result as text.
pub fn said(settled: &Settled) -> String {
    format!("{} {}", if settled.rejected { "rejected" } else { "fulfilled" }, show(&settled.value))
}
