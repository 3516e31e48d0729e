//! Two kernels that meet again and again, whatever happened in between: restarts, lost stores, stores set back, given-up
//! conversations, handshakes of which the answer is lost. Whenever a handshake completes, both sides are in the same
//! conversation, and in one conversation every message takes effect once, in order (G5, G9, G10, L1, L8).

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_remote::{
    Ended, Hello, Histories, History, Loss, Occasion, Position, Presence, Receipt, Side, Standing, SturdyHello,
    Verdict, digest, verdict,
};

/// What is durable on one side.
#[derive(Debug, Clone)]
struct Store {
    standing: Standing,
    histories: Histories,
    outbox: BTreeMap<u64, u64>,
}

/// One kernel, with the backup that its operator keeps.
#[derive(Debug)]
struct Kernel {
    name: char,
    lives: u32,
    store: Store,
    backup: Option<Store>,
    /// What it has sent since that.
    sent: Vec<u64>,
    /// What has taken effect in it since that.
    taken: Vec<u64>,
}

/// One message, as it is known outside of all stores: which conversation it was sent in, and how often it took effect.
#[derive(Debug, Default, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Fate {
    /// The lives of its receiver in which it took effect.
    effects: Vec<String>,
    /// Its sender was told that the outcome is unknown.
    lost: bool,
    /// A store that was set back does not know of it any more.
    forgotten: bool,
    /// It has come back with a store that was set back.
    resent: bool,
    /// And that was of another life, or has met another life of its receiver: nobody can know of it.
    revived: bool,
}

impl Kernel {
    fn new(name: char) -> Self {
        Self {
            name,
            lives: 1,
            store: Store::new(format!("{name}1")),
            backup: None,
            sent: Vec::new(),
            taken: Vec::new(),
        }
    }

    fn hello(&self) -> Hello {
        let Standing { incarnation, peer_incarnation: saw, conversation, position, recorded, ended } =
            self.store.standing.clone();
        let histories = Some(self.store.histories);
        let sturdy = SturdyHello { version: 1, conversation, saw, position, histories, recorded, ended };
        Hello { incarnation, sturdy: Some(sturdy) }
    }

    /// Applies a verdict, as one durable turn. What was pending in an ended conversation is told to its senders.
    fn meet(&mut self, hello: &Hello, side: Side, fates: &mut [Fate]) -> Verdict {
        // Connections are opened and handshakes read at one moment here.
        let said =
            hello.has_received(self.store.standing.conversation).and_then(|number| self.store.said_up_to(number));
        let occasion = Occasion { side, before: Some(&self.store.standing), presence: Presence::Here, said };
        let verdict = verdict(&self.store.standing, hello, occasion);
        let standing = &mut self.store.standing;
        // Whoever has forgotten says that it has never seen the other, until that has ended its side, too.
        standing.peer_incarnation = (!is_set_back_here(&verdict)).then(|| hello.incarnation.clone());
        match verdict {
            Verdict::Continue | Verdict::Stale | Verdict::Copy => {}
            Verdict::FirstSeen { conversation } => standing.conversation = conversation,
            Verdict::Ended { conversation } => self.begin(conversation, fates),
            Verdict::StateLost { conversation, why } => {
                self.begin(conversation, fates);
                let Standing { recorded, ended, .. } = &mut self.store.standing;
                (*recorded, *ended) = (false, ended.filter(|_| why == Loss::PeerSetBack));
            }
        }
        verdict
    }

    fn begin(&mut self, conversation: u64, fates: &mut [Fate]) {
        let Standing { conversation: number, position, ended, .. } = &mut self.store.standing;
        let histories = Some(std::mem::take(&mut self.store.histories));
        let over = Ended {
            conversation: std::mem::replace(number, conversation),
            position: std::mem::take(position),
            histories,
        };
        if over.position.highest_received > 0 {
            *ended = Some(over);
        }
        for message in std::mem::take(&mut self.store.outbox).into_values() {
            fates[usize::try_from(message).expect("small")].lost = true;
        }
    }
}

const fn is_set_back_here(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::StateLost { why: Loss::SetBackHere, .. })
}

impl Store {
    fn new(incarnation: String) -> Self {
        let position = Position::default();
        let standing =
            Standing { incarnation, peer_incarnation: None, conversation: 1, position, recorded: false, ended: None };
        Self { standing, histories: Histories::default(), outbox: BTreeMap::new() }
    }

    fn said_up_to(&self, number: u64) -> Option<History> {
        let Position { first_pending, next_send, .. } = self.standing.position;
        let known = number + 1 >= first_pending && number < next_send;
        let frames = self.outbox.range(..=number).map(|(_, message)| frame(*message));
        known.then(|| frames.fold(self.histories.acknowledged, History::then))
    }
}

/// The digest of a message's frame.
fn frame(message: u64) -> u64 {
    digest(&message.to_le_bytes())
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Move {
    Send(usize),
    Exchange(usize),
    LoseAck(usize),
    Dial(usize),
    DialAndLoseTheAnswer(usize),
    LoseStore(usize),
    KeepBackup(usize),
    SetBack(usize),
    GiveUp(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let side = 0usize..2;
    let one = prop_oneof![
        6 => side.clone().prop_map(Move::Send),
        6 => side.clone().prop_map(Move::Exchange),
        2 => side.clone().prop_map(Move::LoseAck),
        5 => side.clone().prop_map(Move::Dial),
        2 => side.clone().prop_map(Move::DialAndLoseTheAnswer),
        1 => side.clone().prop_map(Move::LoseStore),
        1 => side.clone().prop_map(Move::KeepBackup),
        1 => side.clone().prop_map(Move::SetBack),
        1 => side.prop_map(Move::GiveUp),
    ];
    proptest::collection::vec(one, 0..80)
}

struct Pair {
    kernels: [Kernel; 2],
    fates: Vec<Fate>,
    /// Whether a connection stands on which bytes may flow.
    connected: bool,
    /// The side whose operator sets stores back.
    set_back: Option<usize>,
}

impl Pair {
    /// A handshake. The dialler closes and dials again while its verdict leads elsewhere than the answer said.
    fn dial(&mut self, dialler: usize, answer_arrives: bool) {
        self.connected = false;
        for attempt in 0.. {
            assert!(attempt < 6, "the two never agree: {:?}", self.kernels);
            let listener = 1 - dialler;
            let hello = self.kernels[dialler].hello();
            let heard = self.kernels[listener].meet(&hello, Side::Listener, &mut self.fates);
            if !answer_arrives {
                return;
            }
            let answer = self.kernels[listener].hello();
            let answered = self.kernels[dialler].meet(&answer, Side::Dialler, &mut self.fates);
            if is_set_back_here(&heard) || is_set_back_here(&answered) {
                continue; // not bound
            }
            let number = |kernel: &Kernel| kernel.store.standing.conversation;
            if answer.sturdy.map(|sturdy| sturdy.conversation) == Some(number(&self.kernels[dialler])) {
                assert_eq!(number(&self.kernels[dialler]), number(&self.kernels[listener]));
                self.connected = true;
                return;
            }
        }
    }

    /// Everything pending on one side arrives on the other; the acknowledgement may be lost.
    fn exchange(&mut self, from: usize, ack_arrives: bool) {
        if !self.connected {
            return;
        }
        let pending = self.kernels[from].store.outbox.clone();
        let Kernel { store: Store { standing, histories, .. }, taken, .. } = &mut self.kernels[1 - from];
        let receiver = &mut standing.position;
        for (seq, message) in pending {
            match receiver.receipt(seq) {
                Receipt::Next => {
                    receiver.received(seq);
                    standing.recorded = true;
                    taken.push(message);
                    histories.received = histories.received.then(frame(message));
                    self.fates[usize::try_from(message).expect("small")].effects.push(standing.incarnation.clone());
                }
                Receipt::Duplicate => {}
                Receipt::Gap => panic!("message {seq} leaves a gap in {:?}", self.kernels),
            }
        }
        if let (true, Some(ack)) = (ack_arrives, receiver.ack()) {
            let sender = &mut self.kernels[from].store;
            for freed in sender.standing.position.acknowledged(ack).expect("in step") {
                let message = sender.outbox.remove(&freed).expect("the outbox holds what is pending");
                sender.histories.acknowledged = sender.histories.acknowledged.then(frame(message));
                let effects = &self.fates[usize::try_from(message).expect("small")].effects;
                assert!(!effects.is_empty(), "{} lost {message}", self.kernels[from].name);
            }
        }
    }

    fn make(&mut self, next: Move) {
        match next {
            Move::Send(side) => {
                let message = self.fates.len() as u64;
                self.fates.push(Fate::default());
                self.kernels[side].sent.push(message);
                let store = &mut self.kernels[side].store;
                store.outbox.insert(store.standing.position.allocate(), message);
            }
            Move::Exchange(side) => self.exchange(side, true),
            Move::LoseAck(side) => self.exchange(side, false),
            Move::Dial(side) => self.dial(side, true),
            Move::DialAndLoseTheAnswer(side) => self.dial(side, false),
            Move::LoseStore(side) => {
                self.connected = false;
                let kernel = &mut self.kernels[side];
                kernel.lives += 1;
                for message in kernel.store.outbox.values() {
                    self.fates[usize::try_from(*message).expect("small")].forgotten = true;
                }
                kernel.store = Store::new(format!("{}{}", kernel.name, kernel.lives));
            }
            Move::KeepBackup(side) => {
                let kernel = &mut self.kernels[side];
                kernel.backup = Some(kernel.store.clone());
                (kernel.sent, kernel.taken) = (Vec::new(), Vec::new());
            }
            Move::SetBack(side) => {
                // Stores of both sides set back to one past agree with each other, and nothing shows it.
                let first = *self.set_back.get_or_insert(side);
                if let Some(backup) = self.kernels[side].backup.clone().filter(|_| side == first) {
                    self.connected = false;
                    let peer = &self.kernels[1 - side].store.standing.incarnation;
                    let over = backup.standing.incarnation != self.kernels[side].store.standing.incarnation
                        || backup.standing.peer_incarnation.as_ref().is_some_and(|met| met != peer);
                    for message in backup.outbox.values() {
                        let fate = &mut self.fates[usize::try_from(*message).expect("small")];
                        (fate.resent, fate.revived) = (true, fate.revived || over);
                    }
                    self.kernels[side].store = backup;
                    for message in self.kernels[side].sent.drain(..) {
                        self.fates[usize::try_from(message).expect("small")].forgotten = true;
                    }
                    for message in self.kernels[side].taken.drain(..) {
                        let fate = &mut self.fates[usize::try_from(message).expect("small")];
                        fate.effects.pop();
                        fate.forgotten = true;
                    }
                }
            }
            Move::GiveUp(side) => {
                self.connected = false;
                let number = self.kernels[side].store.standing.conversation + 1;
                self.kernels[side].begin(number, &mut self.fates);
            }
        }
    }
}

fn play(moves: &[Move]) -> Pair {
    let mut pair =
        Pair { kernels: [Kernel::new('a'), Kernel::new('b')], fates: Vec::new(), connected: false, set_back: None };
    for &next in moves {
        pair.make(next);
    }
    pair.dial(0, true);
    for side in [0, 1] {
        pair.exchange(side, true);
        assert!(pair.kernels[side].store.outbox.is_empty(), "the queues drain");
    }
    pair
}

/// How much longer than usual to try (`cargo xtask soak`).
fn times() -> u32 {
    std::env::var("STURDY_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000 * times()) })]

    #[test]
    fn whoever_meets_agrees_and_no_message_takes_effect_twice(moves in moves()) {
        let pair = play(&moves);
        for (message, fate) in pair.fates.iter().enumerate() {
            let lives: BTreeSet<&String> = fate.effects.iter().collect();
            prop_assert!(lives.len() == fate.effects.len() || fate.revived, "message {message}: {fate:?}");
            prop_assert!(lives.len() <= 1 || fate.resent, "message {message} has crossed to another life: {fate:?}");
            prop_assert!(!fate.effects.is_empty() || fate.lost || fate.forgotten, "nobody was told of message {message}");
        }
    }
}

/// Found by the model: a greeting of a life that is over lies unread while the next life of the peer is met, and makes us
/// forget that one. When it comes back, the number under which we knew it must not be used again, or what it repeats
/// would take effect a second time.
#[test]
fn a_late_greeting_of_a_dead_life_brings_no_number_back() {
    let mut pair = play(&[]);
    let late = pair.kernels[1].hello();
    for next in [Move::LoseStore(1), Move::Send(1), Move::Dial(1), Move::LoseAck(1)] {
        pair.make(next);
    }
    pair.kernels[0].meet(&late, Side::Listener, &mut pair.fates);
    for next in [Move::Dial(1), Move::Exchange(1)] {
        pair.make(next);
    }
    assert_eq!(pair.fates.len(), 1);
    assert_eq!(pair.fates[0].effects.len(), 1, "{:?}", pair.kernels);
    assert!(pair.fates[0].lost, "its sender is told that the outcome is unknown");
}

/// What a fresh store has pending for its first conversation survives, whoever dials and whatever the other side
/// remembers of an earlier life.
#[test]
fn messages_of_a_fresh_store_survive_the_first_meeting() {
    for dialler in [0, 1] {
        let mut pair = play(&[Move::Dial(0), Move::Send(0), Move::Exchange(0), Move::GiveUp(0), Move::GiveUp(0)]);
        let sent = pair.fates.len();
        for next in [Move::LoseStore(1), Move::Send(1), Move::Dial(dialler), Move::Exchange(1)] {
            pair.make(next);
        }
        assert_eq!((pair.fates[sent].effects.len(), pair.fates[sent].lost), (1, false), "dialled by {dialler}");
    }
}
