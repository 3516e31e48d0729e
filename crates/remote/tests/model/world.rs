//! What the model's state is made of: two parties, the wires between them, and the ledger by which promises are checked.
//!
//! Always: whatever is in a [`Store`] is what a kernel has in its store (plus the ledger, which no transition reads);
//! everything else in a [`Party`] is volatile. Frames are the bytes that the real codec has written. Deliberately not
//! here: what happens (`turns`), what must hold (`promises`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use sturdy_remote::{Ended, Hello, Histories, History, PROTOCOL_VERSION, Position, Standing, SturdyHello, digest};

/// The bytes of a frame, shared between worlds.
pub type Text = Arc<str>;

/// What became of a message, as its sender knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is in the outbox.
    Pending,
    /// The peer has it.
    Acknowledged,
    /// The conversation ended, and whoever sent it was told so.
    Told,
}

/// The ledger's line about a message, kept on the sender's side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sent {
    pub conversation: u64,
    pub seq: u64,
    /// The life of the peer that it is meant for, once that is known.
    pub meant: Option<u8>,
    pub fate: Fate,
}

/// The ledger's line about a message that took effect, kept on the receiver's side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Taken {
    pub conversation: u64,
    pub seq: u64,
    /// The sender's life and the message's own number.
    pub life: u8,
    pub serial: u8,
}

/// What is durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Store {
    pub side: usize,
    /// Which store of this kernel it is: a lost store is followed by an empty one of the next life.
    pub life: u8,
    pub peer: Option<String>,
    pub conversation: u64,
    pub position: Position,
    pub histories: Histories,
    pub recorded: bool,
    pub ended: Option<Ended>,
    pub outbox: BTreeMap<u64, Text>,
    pub sent: BTreeMap<u8, Sent>,
    pub taken: Vec<Taken>,
}

impl Store {
    pub fn fresh(side: usize, life: u8) -> Self {
        Self {
            side,
            life,
            peer: None,
            conversation: 1,
            position: Position::default(),
            histories: Histories::default(),
            recorded: false,
            ended: None,
            outbox: BTreeMap::new(),
            sent: BTreeMap::new(),
            taken: Vec::new(),
        }
    }

    pub fn standing(&self) -> Standing {
        Standing {
            incarnation: incarnation(self.side, self.life),
            peer_incarnation: self.peer.clone(),
            conversation: self.conversation,
            position: self.position,
            recorded: self.recorded,
            ended: self.ended,
        }
    }

    pub fn hello(&self) -> Hello {
        let Standing { incarnation, peer_incarnation: saw, conversation, position, recorded, ended } = self.standing();
        let histories = Some(self.histories);
        let version = PROTOCOL_VERSION;
        let sturdy = SturdyHello { version, conversation, saw, position, histories, recorded, ended };
        Hello { incarnation, sturdy: Some(sturdy) }
    }

    /// What was said up to this number, as far as the outbox tells.
    pub fn said_up_to(&self, number: u64) -> Option<History> {
        let texts = (self.position.first_pending..=number).map(|seq| self.outbox.get(&seq));
        let said = texts
            .into_iter()
            .try_fold(self.histories.acknowledged, |said, text| text.map(|text| said.then(digest(text.as_bytes()))));
        said.filter(|_| number + 1 >= self.position.first_pending)
    }

    pub fn peer_life(&self) -> Option<u8> {
        self.peer.as_deref().map(life_of)
    }
}

/// `A1` is the first store of side 0.
pub fn incarnation(side: usize, life: u8) -> String {
    format!("{}{life}", ["A", "B"][side])
}

pub fn life_of(incarnation: &str) -> u8 {
    incarnation[1..].parse().expect("the model writes all incarnations")
}

/// A kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Party {
    pub durable: Arc<Store>,
    /// The open group: turns that are merged and not durable (G4).
    pub group: Option<Arc<Store>>,
    /// Frames that wait for the group's commit, with their wire.
    pub waiting: Vec<(usize, Text)>,
    /// The wire that was bound last: on it we speak.
    pub talk: Option<usize>,
    /// Messages that came too early.
    pub held: BTreeMap<u64, Text>,
    /// Something was heard in the open group, so an acknowledgement is owed once it is durable.
    pub heard: bool,
    /// The next message's own number, for the ledger: no life and no crash sets it back.
    pub serial: u8,
    /// Connections dialled.
    pub dials: u8,
    /// Stores that are lost, for the ledger.
    pub past: Vec<Arc<Store>>,
}

impl Party {
    fn new(side: usize) -> Self {
        Self {
            durable: Arc::new(Store::fresh(side, 1)),
            group: None,
            waiting: Vec::new(),
            talk: None,
            held: BTreeMap::new(),
            heard: false,
            serial: 0,
            dials: 0,
            past: Vec::new(),
        }
    }

    /// What is merged.
    pub fn store(&self) -> &Store {
        self.group.as_ref().unwrap_or(&self.durable)
    }

    /// For a change that becomes durable with the open group.
    pub fn change(&mut self) -> &mut Store {
        Arc::make_mut(self.group.get_or_insert_with(|| self.durable.clone()))
    }

    /// The process dies: only what is durable remains.
    pub fn crash(&mut self) {
        self.group = None;
        self.waiting.clear();
        self.talk = None;
        self.held.clear();
        self.heard = false;
    }

    /// All stores that there ever were, the present one as merged.
    pub fn lives(&self) -> impl Iterator<Item = &Store> {
        self.past.iter().map(|store| &**store).chain([self.store()])
    }

    /// All stores that there ever were, without what is not durable.
    pub fn durable_lives(&self) -> impl Iterator<Item = &Store> {
        self.past.iter().chain([&self.durable]).map(|store| &**store)
    }
}

/// What a handshake has bound an end to (L3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Binding {
    pub conversation: u64,
    pub ours: String,
    pub theirs: String,
}

/// One end of a wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum End {
    /// The listener does not know of the connection yet.
    Unseen,
    Open {
        /// Where we stood when it was opened.
        before: Option<Standing>,
        bound: Option<Binding>,
    },
    Closed,
}

impl End {
    pub fn bound(&self) -> Option<&Binding> {
        if let Self::Open { bound, .. } = self { bound.as_ref() } else { None }
    }
}

/// One connection. The frames toward an end form a set: each may be read at any time, any number of times, or never.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wire {
    pub dialler: usize,
    pub ends: [End; 2],
    pub toward: [BTreeSet<Text>; 2],
}

impl Wire {
    /// This end reads nothing any more. What was written to the other end can still be read there.
    pub fn close(&mut self, side: usize) {
        self.ends[side] = End::Closed;
        self.toward[side].clear();
        if self.ends == [End::Closed, End::Closed] {
            self.dialler = 0; // so that worlds that differ only in their past are one
        }
    }
}

/// What a transition found wrong at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A verdict says that state was lost, or the conversation ended, and nobody lost or ended anything.
    FalseVerdict,
    /// An honest peer's acknowledgement was called a lie.
    HonestLiar,
    /// A life that is known to be over has spoken.
    DeadSpeaks,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub parties: [Party; 2],
    pub wires: Vec<Wire>,
    pub crashes: u8,
    pub losses: u8,
    pub give_ups: u8,
    /// A greeting of a dead life came late and was believed.
    pub misled: bool,
    pub flaw: Option<Flaw>,
}

impl World {
    pub fn new() -> Self {
        Self {
            parties: [Party::new(0), Party::new(1)],
            wires: Vec::new(),
            crashes: 0,
            losses: 0,
            give_ups: 0,
            misled: false,
            flaw: None,
        }
    }
}
