//! Strangers: peers that have greeted us and have redeemed nothing yet (link L12).
//!
//! What always holds: what is known of a stranger is volatile and bounded, and nothing that it says changes the store,
//! until it shows a URL that stands for something: that turn writes its incarnation, its position and the reference
//! together. After a restart of ours the position that it shows is adopted. A message that was refused is acknowledged
//! only once the stranger has the refusal, so whatever a restart makes us forget is asked again. Deliberately elsewhere:
//! how many strangers are borne, and their connections (`sturdy-node`).

use super::LinkNews;
use crate::blame::{Blame, Fault};
use crate::ctx::Ctx;
use crate::event::Effect;
use std::collections::{BTreeMap, VecDeque};
use sturdy_remote::{
    AckBeyondSent, Body, Envelope, Hello, Histories, History, PROTOCOL_VERSION, Packet, Position, Receipt, RedeemReply,
    SturdyHello, digest, encode,
};
use sturdy_store::{Outbox, PeerKind, RemoteCursor, RemoteCursors};
use sturdy_types::{ConnectionId, RemoteId};

/// Answers that a stranger may leave unacknowledged. They are refusals: it has shown so many wrong URLs at once.
const MAX_UNACKNOWLEDGED: usize = 64;

/// Numbers above this are no numbers of an honest conversation.
const MAX_NUMBER: u64 = 1 << 32;

/// All strangers, by peer id.
pub type Strangers = BTreeMap<String, Stranger>;

/// One stranger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    connection: Option<ConnectionId>,
    incarnation: String,
    conversation: u64,
    kind: PeerKind,
    position: Position,
    /// What was said up to there: what we have refused and it has acknowledged, what it has said. Not known of a peer that
    /// does not say it.
    histories: Option<Histories>,
    /// It knows a record of ours that we do not have: our store was set back (L8). We answer as one that has never seen it,
    /// until it speaks in the new conversation.
    forgot: bool,
    /// False while the numbers are only a guess: the reference shows them with its first message.
    placed: bool,
    /// What it has not acknowledged: the messages `first_pending..next_send`.
    unacknowledged: VecDeque<Refusal>,
}

/// A refusal that the stranger has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    /// The number of the message that is refused.
    of: u64,
    /// What the stranger had said before that.
    before: History,
    /// What was said.
    text: String,
}

/// What is to be done with a message of a stranger. Only tests can print it: it may hold a URL, which is a secret (L14).
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum StrangerHeard {
    /// Say this.
    Say(String),
    /// Nothing.
    Nothing,
    /// It shows a URL: see [`admit`]. If that fails, call [`Stranger::refuse`].
    Shows {
        /// The number of the message.
        seq: u64,
        /// The URL.
        url: String,
        /// The reply key.
        key: String,
        /// The digest of the frame.
        digest: u64,
    },
    /// It lies, or never listens: no way on.
    HangUp,
}

impl Stranger {
    /// A peer without a record greets us on this connection; `before` is what is known from an earlier one. `ours` is our
    /// incarnation.
    pub fn greeted(before: Option<Self>, connection: ConnectionId, hello: Hello, ours: &str) -> Self {
        let kind = if hello.sturdy.is_some() { PeerKind::Sturdy } else { PeerKind::Whatever };
        let same = before.filter(|before| before.incarnation == hello.incarnation && before.kind == kind);
        let mut stranger = same.unwrap_or(Self {
            connection: None,
            incarnation: hello.incarnation,
            conversation: 1,
            kind,
            position: Position::default(),
            histories: (kind == PeerKind::Sturdy).then(Histories::default),
            forgot: false,
            placed: false,
            unacknowledged: VecDeque::new(),
        });
        stranger.connection = Some(connection);
        if let Some(theirs) = hello.sturdy {
            stranger.place(&theirs, ours);
        }
        stranger
    }

    /// A peer of our own kind shows where it stands.
    fn place(&mut self, theirs: &SturdyHello, ours: &str) {
        let sane = |number: u64| number <= MAX_NUMBER;
        let Position { first_pending, highest_received, .. } = theirs.position;
        let with_us = theirs.saw.as_deref().is_none_or(|saw| saw == ours);
        let honest = sane(first_pending) && sane(highest_received) && sane(theirs.conversation) && first_pending > 0;
        self.forgot = honest && with_us && theirs.recorded;
        if !honest {
            self.set(1, Position::default(), Some(Histories::default()));
        } else if !with_us || self.forgot {
            // It remembers another life of ours, and has to begin anew under a number that it has not used.
            let conversation = self.conversation.max(theirs.conversation) + 1;
            self.set(conversation, Position::default(), Some(Histories::default()));
        } else if self.conversation != theirs.conversation
            || self.acknowledged(highest_received).is_err()
            || self.position.highest_received + 1 < first_pending
        {
            let next_send = highest_received + 1;
            let position = Position { first_pending: next_send, next_send, highest_received: first_pending - 1 };
            let heard_here =
                |theirs: Histories| Histories { acknowledged: theirs.received, received: theirs.acknowledged };
            self.set(theirs.conversation, position, theirs.histories.map(heard_here));
        } else if let (Some(histories), Some(theirs)) = (&mut self.histories, theirs.histories)
            && self.position.first_pending == highest_received + 1
        {
            // A process of ours that is gone may have refused in other words.
            histories.acknowledged = theirs.received;
        }
        self.placed = true;
    }

    fn set(&mut self, conversation: u64, position: Position, histories: Option<Histories>) {
        self.conversation = conversation;
        self.position = position;
        self.histories = histories;
        self.unacknowledged.clear();
    }

    /// What to say on a new connection: the answer to its greeting, then what it has not acknowledged.
    pub fn opening(&self, ours: &str) -> Vec<String> {
        let sturdy = SturdyHello {
            version: PROTOCOL_VERSION,
            conversation: self.conversation,
            saw: Some(self.incarnation.clone()).filter(|_| !self.forgot),
            position: Position { highest_received: self.answered(), ..self.position },
            histories: self.histories.map(|histories| {
                let received = self.unacknowledged.front().map_or(histories.received, |refusal| refusal.before);
                Histories { received, ..histories }
            }),
            recorded: false,
            ended: None,
        };
        let hello = Hello { incarnation: ours.to_owned(), sturdy: Some(sturdy) };
        let mut say = vec![encode(&Packet::HandshakeAck(hello))];
        say.extend(self.unacknowledged.iter().map(|refusal| refusal.text.clone()));
        say
    }

    /// The connection on which it speaks.
    pub const fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// The connection is gone.
    pub const fn hung_up(&mut self) {
        self.connection = None;
    }

    /// A numbered message, and the digest of its frame.
    pub fn hears_message(&mut self, envelope: Envelope, digest: u64) -> StrangerHeard {
        let Envelope { seq, ack, body } = envelope;
        if seq > MAX_NUMBER || seq == 0 || self.hear_ack(ack).is_err() {
            return StrangerHeard::HangUp;
        }
        self.forgot = false; // it has read that it is unknown here
        if !self.placed {
            self.position.highest_received = seq - 1;
            self.placed = true;
        }
        match self.position.receipt(seq) {
            Receipt::Duplicate => match self.unacknowledged.iter().find(|refusal| refusal.of == seq) {
                Some(refusal) => StrangerHeard::Say(refusal.text.clone()),
                None => self.acknowledge(),
            },
            Receipt::Gap => StrangerHeard::Nothing, // it is not acknowledged, so it is sent again
            Receipt::Next => match body {
                Ok(Body::RedeemUrl { .. }) if self.unacknowledged.len() >= MAX_UNACKNOWLEDGED => StrangerHeard::HangUp,
                Ok(Body::RedeemUrl { url, key }) => StrangerHeard::Shows { seq, url, key, digest },
                _ => {
                    // It has nothing of ours, so there is nothing that it could mean.
                    self.heard(seq, digest);
                    self.acknowledge()
                }
            },
        }
    }

    /// A standalone acknowledgement.
    pub fn hears_ack(&mut self, ack: u64) -> StrangerHeard {
        let before = self.answered();
        match self.hear_ack(Some(ack)) {
            Ok(()) if self.answered() > before => self.acknowledge(),
            Ok(()) => StrangerHeard::Nothing,
            Err(AckBeyondSent { .. }) => StrangerHeard::HangUp,
        }
    }

    fn hear_ack(&mut self, ack: Option<u64>) -> Result<(), AckBeyondSent> {
        let Some(ack) = ack else { return Ok(()) };
        if !self.placed && ack < MAX_NUMBER {
            // It speaks of what an earlier process of ours has told it.
            self.position.next_send = self.position.next_send.max(ack + 1);
            self.position.first_pending = self.position.next_send;
            return Ok(());
        }
        self.acknowledged(ack)
    }

    fn acknowledged(&mut self, ack: u64) -> Result<(), AckBeyondSent> {
        let freed = self.position.acknowledged(ack)?;
        let count = usize::try_from(freed.end - freed.start).unwrap_or(usize::MAX);
        for refusal in self.unacknowledged.drain(..count.min(self.unacknowledged.len())) {
            if let Some(histories) = &mut self.histories {
                histories.acknowledged = histories.acknowledged.then(digest(refusal.text.as_bytes()));
            }
        }
        Ok(())
    }

    /// A message has taken effect. Returns what was said before it.
    fn heard(&mut self, seq: u64, digest: u64) -> History {
        self.position.highest_received = seq;
        let Some(histories) = &mut self.histories else { return History::default() };
        let before = histories.received;
        histories.received = before.then(digest);
        before
    }

    /// What it has shown stands for nothing. Returns what to say.
    pub fn refuse(&mut self, seq: u64, digest: u64, key: String, why: String) -> String {
        let before = self.heard(seq, digest);
        let body = Body::RedeemUrlReply { key, reply: RedeemReply::Refused(why) };
        // A refusal that is taken in is itself the answer, so it may acknowledge what it refuses.
        let ack = Some(self.answered()).filter(|&ack| ack > 0);
        let text = encode(&Packet::Message(Envelope { seq: self.position.allocate(), ack, body: Ok(body) }));
        self.unacknowledged.push_back(Refusal { of: seq, before, text: text.clone() });
        text
    }

    /// Up to where nothing is lost if we forget the stranger now: its messages below the oldest refusal that it may not
    /// have. Refusals are not in the store, so this is all that may be acknowledged (G6).
    fn answered(&self) -> u64 {
        self.unacknowledged.front().map_or(self.position.highest_received, |refusal| refusal.of - 1)
    }

    fn acknowledge(&self) -> StrangerHeard {
        let ack = self.answered();
        if ack == 0 {
            return StrangerHeard::Nothing;
        }
        let alloc = (self.kind == PeerKind::Sturdy).then_some(self.position.next_send - 1);
        StrangerHeard::Say(encode(&Packet::Ack { ack, alloc }))
    }
}

/// The turn in which a stranger shows a URL. If that stands for something, the stranger becomes a peer with a record, and
/// gets the reference; otherwise nothing is written, and the reason is returned.
pub fn admit(
    ctx: &mut Ctx<'_, '_>,
    peer: &str,
    (seq, digest): (u64, u64),
    url: String,
    key: String,
) -> Result<Result<RemoteId, String>, Fault> {
    if let Err(why) = ctx.shown(&url, None, &key)? {
        return Ok(Err(why));
    }
    let remote = match ctx.add_peer(peer, Vec::new()) {
        Ok(remote) => remote,
        Err(Blame::Ours(fault)) => return Err(fault),
        Err(other) => return Ok(Err(other.to_string())),
    };
    ctx.take(remote, Envelope { seq, ack: None, body: Ok(Body::RedeemUrl { url, key }) }, digest)?;
    ctx.close()?;
    Ok(Ok(remote))
}

impl Ctx<'_, '_> {
    /// A peer gets its record: what a stranger has heard and said goes on in it. Returns what the record begins with.
    pub(crate) fn acquaint(&mut self, remote: RemoteId, peer: &str) -> (Option<String>, u64, PeerKind) {
        let Some(stranger) = self.strangers.get(peer) else {
            self.put::<RemoteCursors>(&remote, &RemoteCursor::default());
            return (None, 1, PeerKind::Unknown);
        };
        let Position { first_pending, next_send, highest_received } = stranger.position;
        let outbox_bytes = stranger.unacknowledged.iter().map(|refusal| refusal.text.len() as u64).sum();
        let cursor = RemoteCursor {
            first_pending,
            next_send,
            highest_received,
            outbox_bytes,
            acknowledged_history: stranger.histories.map(|said| said.acknowledged.0),
            received_history: stranger.histories.map(|said| said.received.0),
            ..RemoteCursor::default()
        };
        self.put::<RemoteCursors>(&remote, &cursor);
        for (seq, refusal) in (first_pending..).zip(&stranger.unacknowledged) {
            self.put::<Outbox>(&(remote, seq), &refusal.text);
            self.want(remote); // it may have hung up
        }
        let (conversation, kind, connection) = (stranger.conversation, stranger.kind, stranger.connection);
        if stranger.forgot {
            // Whether it has read that it is unknown here shows when it greets again, not on this connection.
            if let Some(connection) = connection {
                self.emit(Effect::HangUp { connection });
            }
            return (None, conversation, kind);
        }
        let incarnation = stranger.incarnation.clone();
        if let Some(connection) = connection {
            self.effects.links.push(LinkNews::Bound { connection, remote, conversation, kind });
        }
        (Some(incarnation), conversation, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sturdy_remote::decode;

    const HERE: ConnectionId = ConnectionId(1);

    fn hello(saw: Option<&str>, conversation: u64, numbers: [u64; 3]) -> Hello {
        let [first_pending, next_send, highest_received] = numbers;
        let position = Position { first_pending, next_send, highest_received };
        let sturdy = SturdyHello {
            version: 1,
            conversation,
            saw: saw.map(str::to_owned),
            position,
            histories: None,
            recorded: false,
            ended: None,
        };
        Hello { incarnation: "them".into(), sturdy: Some(sturdy) }
    }

    fn whatever() -> Stranger {
        Stranger::greeted(None, HERE, Hello { incarnation: "them".into(), sturdy: None }, "us")
    }

    fn shows(seq: u64, ack: Option<u64>) -> Envelope {
        let body = Body::RedeemUrl { url: "u".into(), key: "k".into() };
        Envelope { seq, ack, body: Ok(body) }
    }

    fn is_shown(heard: &StrangerHeard) -> bool {
        matches!(heard, StrangerHeard::Shows { .. })
    }

    #[test]
    fn a_position_is_adopted_from_a_greeting() {
        let at = |stranger: &Stranger| {
            let Position { first_pending, next_send, highest_received } = stranger.position;
            (stranger.conversation, [first_pending, next_send, highest_received])
        };
        for (saw, conversation, numbers, expect) in [
            (None, 1, [1, 1, 0], (1, [1, 1, 0])),
            (None, 1, [1, 3, 0], (1, [1, 1, 0])),
            (Some("us"), 1, [4, 6, 9], (1, [10, 10, 3])),
            (Some("us"), 3, [1, 2, 0], (3, [1, 1, 0])),
            (Some("before"), 3, [4, 6, 9], (4, [1, 1, 0])),
            (Some("us"), 1, [0, 0, u64::MAX], (1, [1, 1, 0])),
        ] {
            let stranger = Stranger::greeted(None, HERE, hello(saw, conversation, numbers), "us");
            assert_eq!(at(&stranger), expect, "{saw:?} {conversation} {numbers:?}");
        }
        // From one connection to the next, what is unacknowledged stays.
        let mut stranger = Stranger::greeted(None, HERE, hello(None, 1, [1, 3, 0]), "us");
        assert!(is_shown(&stranger.hears_message(shows(1, None), 0)));
        stranger.refuse(1, 0, "k".into(), "no".into());
        let again = Stranger::greeted(Some(stranger.clone()), HERE, hello(Some("us"), 1, [1, 3, 0]), "us");
        assert_eq!((at(&again), again.opening("us").len()), ((1, [1, 2, 1]), 2));
        let heard = Stranger::greeted(Some(stranger), HERE, hello(Some("us"), 1, [2, 3, 1]), "us");
        assert_eq!((at(&heard), heard.opening("us").len()), ((1, [2, 2, 1]), 1));
    }

    #[test]
    fn a_position_is_adopted_from_the_first_message_of_the_reference() {
        let mut stranger = whatever();
        assert_eq!(stranger.hears_ack(3), StrangerHeard::Nothing);
        assert!(is_shown(&stranger.hears_message(shows(5, Some(4)), 0)));
        let said = stranger.refuse(5, 0, "k".into(), "no".into());
        assert_eq!(said, r#"{"seq":5,"ack":5,"method":"redeemURLReply","params":[false,"k","no"]}"#);
        assert_eq!(stranger.hears_message(shows(5, Some(4)), 0), StrangerHeard::Say(said));
        assert_eq!(stranger.hears_message(shows(7, Some(4)), 0), StrangerHeard::Nothing);
        assert_eq!(stranger.hears_ack(9), StrangerHeard::HangUp);
        assert_eq!(stranger.opening("us").len(), 2);
        assert_eq!(stranger.hears_ack(5), StrangerHeard::Say(r#"{"ack":5}"#.into()));
        assert_eq!(stranger.hears_message(shows(5, Some(4)), 0), StrangerHeard::Say(r#"{"ack":5}"#.into()));
        assert_eq!(stranger.opening("us").len(), 1);
    }

    /// If it were, a restart of ours would make us forget a refusal for which the stranger waits.
    #[test]
    fn nothing_is_acknowledged_whose_refusal_may_be_lost() {
        let shown = |stranger: &Stranger| match decode(stranger.opening("us")[0].as_bytes()) {
            Ok(Packet::HandshakeAck(Hello { sturdy: Some(sturdy), .. })) => sturdy.position.highest_received,
            other => panic!("{other:?}"),
        };
        let ack = |ack, alloc| StrangerHeard::Say(encode(&Packet::Ack { ack, alloc: Some(alloc) }));
        let mut stranger = Stranger::greeted(None, HERE, hello(None, 1, [1, 4, 0]), "us");
        assert_eq!(stranger.hears_message(Envelope { seq: 1, ack: None, body: Err("?".into()) }, 0), ack(1, 0));
        let refusals: Vec<String> = (2..=4)
            .map(|seq| {
                assert!(is_shown(&stranger.hears_message(shows(seq, None), 0)));
                stranger.refuse(seq, 0, "k".into(), "no".into())
            })
            .collect();
        let acks = [r#""ack":2"#, r#""ack":1"#, r#""ack":1"#];
        assert!(refusals.iter().zip(acks).all(|(text, ack)| text.contains(ack)), "{refusals:?}");
        assert_eq!(shown(&stranger), 1);
        assert_eq!(stranger.hears_message(shows(3, None), 0), StrangerHeard::Say(refusals[1].clone()));
        assert_eq!(stranger.hears_ack(1), ack(2, 3));
        assert_eq!(shown(&stranger), 2);
        assert_eq!(stranger.hears_ack(3), ack(4, 3));
        assert_eq!(shown(&stranger), 4);
    }

    #[test]
    fn a_stranger_that_never_listens_is_not_listened_to() {
        let mut stranger = whatever();
        for seq in 1..=64 {
            assert!(is_shown(&stranger.hears_message(shows(seq, None), 0)));
            stranger.refuse(seq, 0, "k".into(), "no".into());
        }
        assert_eq!(stranger.hears_message(shows(65, None), 0), StrangerHeard::HangUp);
        assert!(is_shown(&stranger.hears_message(shows(65, Some(64)), 0)));
    }

    proptest! {
        #[test]
        fn whatever_a_stranger_says_its_numbers_hold_together(
            talk in proptest::collection::vec((0u8..4, 0u64..6, proptest::option::of(0u64..6)), 0..40),
        ) {
            let mut stranger = whatever();
            for (what, number, ack) in talk {
                let heard = match what {
                    0 => stranger.hears_ack(number),
                    1 => stranger.hears_message(Envelope { seq: number, ack, body: Err("?".into()) }, 0),
                    2 => stranger.hears_message(shows(number, ack), 0),
                    _ => {
                        let hello = hello(Some("us"), 1, [number, number + 1, ack.unwrap_or(0)]);
                        stranger = Stranger::greeted(Some(stranger), HERE, hello, "us");
                        StrangerHeard::Nothing
                    }
                };
                if let StrangerHeard::Shows { seq, key, .. } = heard {
                    stranger.refuse(seq, 0, key, "no".into());
                }
                let pending = stranger.position.next_send - stranger.position.first_pending;
                prop_assert_eq!(pending, stranger.unacknowledged.len() as u64);
                prop_assert!(stranger.position.first_pending >= 1);
            }
        }
    }
}
