//! Several worlds and a line in memory between them: it carries frames in order, and does what a network can do. The
//! audit of every world runs after every turn.

use super::puppet::{Puppets, Stage, said};
use super::{Engines, World, methargs};
use std::collections::{BTreeMap, VecDeque};
use sturdy_kernel::{Answer, Effect, Event, PeerInfo, Request, Ticket, UrlTerms, WhichUrl};
use sturdy_node::remote::Side;
use sturdy_store::MemoryDisk;
use sturdy_types::{ConnectionId, Incarnation, KRef, KernelLimits, OcapUrl, Oid};

/// One connection: who dialled whom, and what is on its way to each.
#[derive(Default)]
struct Line {
    ends: [usize; 2],
    on_the_way: [VecDeque<Vec<u8>>; 2],
}

/// Worlds `0`, `1`, … with the peer ids `A`, `B`, ….
pub struct Worlds {
    pub stages: Vec<Stage>,
    lines: BTreeMap<u64, Line>,
    connections: u64,
    keys: u64,
    lives: u8,
    /// False while nobody can dial.
    pub up: bool,
    /// Frames that were delivered, for tests that read or forge them.
    pub heard: Vec<(usize, String)>,
    /// A script that stands for a kernel: frames to it are kept, it says only what the test says.
    pub mute: Option<usize>,
}

pub fn peer(world: usize) -> String {
    char::from(b'A' + u8::try_from(world).expect("few worlds")).to_string()
}

impl Worlds {
    /// One world for each list of vats.
    pub fn new(vats: &[&[&str]]) -> Self {
        Self::with_limits(&KernelLimits::default(), vats)
    }

    pub fn with_limits(limits: &KernelLimits, vats: &[&[&str]]) -> Self {
        Self::with_limits_of(&vec![limits.clone(); vats.len()], vats)
    }

    /// Each world has limits of its own.
    pub fn with_limits_of(limits: &[KernelLimits], vats: &[&[&str]]) -> Self {
        let mut worlds = Self::strangers_of(limits, vats);
        for here in 0..vats.len() {
            for there in 0..vats.len() {
                if here != there {
                    let request = Request::AddPeer { peer: peer(there), hints: Vec::new() };
                    worlds.stages[here].ask(request).expect("a new peer");
                }
            }
        }
        worlds
    }

    /// Worlds that have never heard of each other.
    pub fn strangers(limits: &KernelLimits, vats: &[&[&str]]) -> Self {
        Self::strangers_of(&vec![limits.clone(); vats.len()], vats)
    }

    fn strangers_of(limits: &[KernelLimits], vats: &[&[&str]]) -> Self {
        let mut worlds = Self {
            stages: Vec::new(),
            lines: BTreeMap::new(),
            connections: 0,
            keys: 0,
            lives: 0,
            up: true,
            heard: Vec::new(),
            mute: None,
        };
        for (limits, names) in limits.iter().zip(vats) {
            let stage = worlds.stage(limits, names);
            worlds.stages.push(stage);
        }
        worlds
    }

    fn stage(&mut self, limits: &KernelLimits, names: &[&str]) -> Stage {
        self.lives += 1;
        let mut stage = Stage::empty(Engines::Memory, limits.clone());
        fresh_store(&mut stage.world, self.lives);
        if !names.is_empty() {
            stage.enter(names);
        }
        stage
    }

    /// A world whose store is lost and begun anew, with these vats.
    pub fn lose_store(&mut self, world: usize, names: &[&str]) {
        self.cut(world);
        self.lives += 1;
        let limits = self.stages[world].limits.clone();
        let puppets = Puppets::default();
        let mut stage = Stage::over(World::on(MemoryDisk::new(), limits, Box::new(puppets.clone())), puppets);
        fresh_store(&mut stage.world, self.lives);
        let late = self.stages[world].now() - stage.now();
        stage.pass_time(late);
        stage.enter(names);
        for there in 0..self.stages.len() {
            if there != world {
                stage.ask(Request::AddPeer { peer: peer(there), hints: Vec::new() }).expect("a new peer");
            }
        }
        self.stages[world] = stage;
        self.tell_disconnected();
    }

    /// The process of a world ends and begins again: what was not durable is gone.
    pub fn crash(&mut self, world: usize) {
        self.stages[world].puppets.crashed();
        self.cut(world);
        self.stages[world].world.crash();
        self.tell_disconnected();
    }

    /// All connections of a world break; what was on its way is lost.
    pub fn cut(&mut self, world: usize) {
        for line in self.lines.values_mut() {
            if line.ends.contains(&world) {
                line.on_the_way = Default::default();
                line.ends = [line.ends[0] | BROKEN, line.ends[1] | BROKEN];
            }
        }
    }

    /// … and both sides hear of it.
    pub fn cut_off(&mut self, world: usize) {
        self.cut(world);
        self.tell_disconnected();
    }

    /// One connection breaks, and both sides hear of it.
    pub fn break_line(&mut self, connection: u64) {
        let line = self.lines.get_mut(&connection).expect("it is there");
        line.on_the_way = Default::default();
        line.ends = [line.ends[0] | BROKEN, line.ends[1] | BROKEN];
        self.tell_disconnected();
    }

    fn tell_disconnected(&mut self) {
        let broken: Vec<u64> =
            self.lines.iter().filter(|(_, line)| line.ends[0] & BROKEN != 0).map(|(id, _)| *id).collect();
        for id in broken {
            let line = self.lines.remove(&id).expect("it is there");
            for end in line.ends {
                let event = Event::Disconnected { connection: ConnectionId(id) };
                self.stages[end & !BROKEN].event(event).expect("the node goes on");
            }
        }
    }

    /// A new connection, dialled by `from`.
    pub fn dial(&mut self, from: usize, to: usize) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.lines.insert(self.connections, Line { ends: [from, to], ..Line::default() });
        for (world, other, side) in [(from, to, Side::Dialler), (to, from, Side::Listener)] {
            if self.mute != Some(world) {
                let event = Event::Connected { connection, peer: peer(other), side };
                self.stages[world].event(event).expect("the node goes on");
            }
        }
    }

    /// Everything that is due in one world, then a commit; what it says is on its way then.
    pub fn run_world(&mut self, world: usize) {
        while self.mute != Some(world) && self.run_once(world) && self.up {}
    }

    /// Whether the world had anything to say.
    fn run_once(&mut self, world: usize) -> bool {
        self.stages[world].run();
        self.stages[world].puppets.committed();
        let wire = std::mem::take(&mut self.stages[world].wire);
        let spoke = !wire.is_empty();
        for effect in wire {
            match effect {
                Effect::Connect { peer: wanted, .. } => {
                    let to = (0..self.stages.len()).find(|to| peer(*to) == wanted).expect("a known peer");
                    if self.up {
                        self.dial(world, to);
                    } else {
                        // It is tried again.
                        self.stages[world].wire.push(Effect::Connect { peer: wanted, hints: Vec::new() });
                    }
                }
                Effect::Transmit { connection, bytes } => {
                    if let Some(line) = self.lines.get_mut(&connection.0) {
                        let end = usize::from(line.ends[0] == world);
                        line.on_the_way[end].push_back(bytes);
                    }
                }
                Effect::HangUp { connection } => {
                    if let Some(line) = self.lines.remove(&connection.0) {
                        for end in line.ends.into_iter().filter(|end| self.mute != Some(*end)) {
                            self.stages[end].event(Event::Disconnected { connection }).expect("the node goes on");
                        }
                    }
                }
                other => panic!("{other:?} is not for a wire"),
            }
        }
        spoke
    }

    /// Delivers the next frame of a line. False when nothing is on its way there.
    pub fn carry(&mut self, which: usize) -> bool {
        let ways: Vec<(u64, usize)> = self.ways();
        if ways.is_empty() {
            return false;
        }
        let (id, end) = ways[which % ways.len()];
        let line = self.lines.get_mut(&id).expect("it is there");
        let to = line.ends[end];
        let frame = line.on_the_way[end].pop_front().expect("something is on its way");
        self.receive(to, id, frame);
        true
    }

    /// Delivers the next frame to this world.
    pub fn carry_to(&mut self, world: usize) -> bool {
        let way = self.ways().iter().position(|(id, end)| self.lines[id].ends[*end] == world);
        way.is_some_and(|way| self.carry(way))
    }

    fn ways(&self) -> Vec<(u64, usize)> {
        let both = self.lines.iter().flat_map(|(id, line)| [0, 1].map(|end| (*id, end, line.on_the_way[end].len())));
        both.filter(|(.., waiting)| *waiting > 0).map(|(id, end, _)| (id, end)).collect()
    }

    /// Repeats the next frame of a line, as a broken transport could.
    pub fn repeat(&mut self, which: usize) {
        let ways = self.ways();
        if !ways.is_empty() {
            let (id, end) = ways[which % ways.len()];
            let line = self.lines.get_mut(&id).expect("it is there");
            let frame = line.on_the_way[end].front().expect("something is on its way").clone();
            line.on_the_way[end].push_back(frame);
        }
    }

    /// Swaps the next two frames of a line.
    pub fn swap(&mut self, which: usize) {
        let ways = self.ways();
        if !ways.is_empty() {
            let (id, end) = ways[which % ways.len()];
            let line = self.lines.get_mut(&id).expect("it is there");
            if line.on_the_way[end].len() > 1 {
                line.on_the_way[end].swap(0, 1);
            }
        }
    }

    /// Loses the next frame of a line.
    pub fn lose(&mut self, which: usize) {
        let ways = self.ways();
        if !ways.is_empty() {
            let (id, end) = ways[which % ways.len()];
            self.lines.get_mut(&id).expect("it is there").on_the_way[end].pop_front();
        }
    }

    fn receive(&mut self, to: usize, id: u64, frame: Vec<u8>) {
        self.heard.push((to, String::from_utf8_lossy(&frame).into_owned()));
        if self.mute != Some(to) {
            self.stages[to].event(Event::Received { connection: ConnectionId(id), frame }).expect("the node goes on");
        }
    }

    /// A forged frame from `from` to `to`, on their newest connection.
    pub fn forge(&mut self, to: usize, frame: &str) {
        let id = self.newest();
        self.receive(to, id, frame.as_bytes().to_vec());
        self.run_world(to);
    }

    /// All connections but one end, and this world hears of it.
    pub fn keep_only(&mut self, world: usize, kept: u64) {
        for id in self.lines.keys().copied().filter(|id| *id != kept).collect::<Vec<_>>() {
            self.lines.remove(&id);
            self.stages[world].event(Event::Disconnected { connection: ConnectionId(id) }).expect("the node goes on");
        }
    }

    pub fn is_open(&self, connection: u64) -> bool {
        self.lines.contains_key(&connection)
    }

    pub fn connections(&self) -> u64 {
        self.connections
    }

    pub fn has_no_connection(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn newest(&self) -> u64 {
        *self.lines.keys().next_back().expect("there is a connection")
    }

    /// Everything everywhere, until nothing is on its way and nothing is owed.
    pub fn run(&mut self) {
        for _ in 0..5_000 {
            for world in (0..self.stages.len()).chain(0..self.stages.len()) {
                self.run_world(world);
            }
            if self.carry(0) {
                continue;
            }
            if !self.up || !self.pass_time() {
                return;
            }
        }
        let last = &self.heard[self.heard.len().saturating_sub(12)..];
        panic!("the worlds never come to rest: {last:#?}");
    }

    /// Time goes on to the next deadline. False when nobody waits for anything.
    pub fn pass_time(&mut self) -> bool {
        let Some(at) = self.stages.iter().filter_map(|stage| stage.node().deadline()).min() else { return false };
        let ms = at.saturating_sub(self.stages[0].now());
        for (world, stage) in self.stages.iter_mut().enumerate() {
            stage.pass_time(ms);
            if self.mute != Some(world) {
                stage.event(Event::Tick).expect("the node goes on");
            }
        }
        true
    }

    /// Like `run`, and garbage is looked for until none is left anywhere.
    pub fn settle_down(&mut self) {
        for _ in 0..6 {
            for stage in &mut self.stages {
                stage.acknowledge_all();
                stage.wire_safe_settle_down();
            }
            self.run();
        }
    }

    /// Gives a vat's root of one world to the host of another.
    pub fn introduce(&mut self, from: usize, vat: &str, to: usize) -> KRef {
        let object = self.stages[from].root(vat).into();
        self.give(from, object, to)
    }

    pub fn give(&mut self, from: usize, object: KRef, to: usize) -> KRef {
        let url = self.issue(from, object, UrlTerms::default());
        let ticket = self.redeem_later(to, &url);
        self.run();
        let settled = self.stages[to]
            .result(ticket)
            .unwrap_or_else(|| panic!("the redemption is not answered: {:#?}", self.heard));
        assert!(!settled.rejected, "{}", said(&settled));
        self.revoke(from, &url);
        self.run();
        settled.value.slots[0]
    }

    /// A URL for an object.
    pub fn issue(&mut self, world: usize, object: KRef, terms: UrlTerms) -> OcapUrl {
        self.keys += 1;
        let mut bits = [0; 32];
        bits[..8].copy_from_slice(&self.keys.to_be_bytes());
        let oid = Oid::from_random(&bits);
        self.stages[world].ask(Request::IssueUrl { object, oid: oid.clone(), terms }).expect("an object");
        OcapUrl { oid, peer: peer(world), hints: vec![format!("/memory/{world}")] }
    }

    pub fn revoke(&mut self, world: usize, url: &OcapUrl) {
        let which = WhichUrl::Oid(url.oid.clone());
        self.stages[world].ask(Request::RevokeUrl(which)).expect("it is there");
    }

    /// The host of a world redeems a URL under a key of its own.
    pub fn redeem_later(&mut self, world: usize, url: &OcapUrl) -> Ticket {
        self.keys += 1;
        let key = format!("key{}", self.keys);
        self.stages[world].ask_later(Request::Redeem { url: url.clone(), me: peer(world), key, request: None })
    }

    /// Lets a vat do what the script says, without waiting.
    pub fn tell_later(&mut self, world: usize, vat: &str, script: &str, slots: &[KRef]) -> Ticket {
        self.stages[world].tell_later(vat, script, slots)
    }

    /// Lets a vat do what the script says, and everything that follows.
    pub fn tell(&mut self, world: usize, vat: &str, script: &str, slots: &[KRef]) -> String {
        let ticket = self.tell_later(world, vat, script, slots);
        self.run();
        self.stages[world].fate(ticket)
    }

    /// A message of a host.
    pub fn send_later(&mut self, world: usize, target: KRef, method: &str) -> Ticket {
        self.stages[world].call_later(target, methargs(method, "[]", Vec::new()))
    }

    pub fn info(&mut self, world: usize, of: usize) -> PeerInfo {
        self.known(world, of).expect("a known peer")
    }

    /// What a world has noted of another, if anything.
    pub fn known(&mut self, world: usize, of: usize) -> Option<PeerInfo> {
        match self.stages[world].ask(Request::Peers) {
            Ok(Answer::Peers(peers)) => peers.into_iter().find(|info| info.peer == peer(of)),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn heard(&self, world: usize, expect: &str) {
        self.stages[world].heard(expect);
    }
}

const BROKEN: usize = 1 << 30;

fn fresh_store(world: &mut World, life: u8) {
    world.incarnation = Incarnation([life; 16]);
    world.disk = MemoryDisk::new();
    world.boot(None, &[]);
}
