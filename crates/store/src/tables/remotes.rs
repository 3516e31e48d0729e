//! The remotes: peers and what is known of them, where the conversation with each stands, what is still to reach them,
//! and the names under which they and we know each other's objects and promises.
//!
//! Keys: `68`, remote id · `69`, the peer id as raw UTF-8 · `6a`, remote id · `6b`, remote id and number · `6c`, kernel
//! reference and remote id · `6d`, remote id and remote reference · `6e`, remote id and number · `6f`, remote id and
//! promise id. Names are in our own frame: `+N` was allocated by the peer, `-N` by us.

use crate::key::{KeyPart, KeyReader, KeyWriter};
use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use sturdy_types::{CapData, KRef, PromiseId, RRef, RemoteId};

tables! {
    /// Every peer with a durable record.
    Remotes = 0x68, "remotes", RemoteId, (), RemoteRecord;
    /// The same by peer id.
    RemotesByPeer = 0x69, "remotes-by-peer", String, (), RemoteId;
    /// Where the conversation with each stands.
    RemoteCursors = 0x6a, "remote-cursors", RemoteId, (), RemoteCursor;
    /// Messages that the peer has not acknowledged, as they go on the wire.
    Outbox = 0x6b, "outbox", (RemoteId, u64), RemoteId, String;
    /// The name of an object or promise in the conversation with a remote.
    RemoteNames = 0x6c, "remote-names", (KRef, RemoteId), KRef, RemoteName;
    /// What a name in the conversation with a remote means.
    RemoteRefs = 0x6d, "remote-refs", (RemoteId, RRef), RemoteId, KRef;
    /// Names of settled promises that the peer was told of by the message with this number, and may still use (L6).
    Retiring = 0x6e, "retiring", (RemoteId, u64), RemoteId, RetiringRecord;
    /// Settlements that wait for what we sent to the promise to come back (L5).
    Withheld = 0x6f, "withheld", (RemoteId, PromiseId), RemoteId, WithheldRecord;
}

/// Whether we talk to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// We do.
    Open,
    /// Closed on purpose, until somebody reconnects.
    Closed,
    /// Given up, until a user sends something.
    GivenUp,
}

impl Stored for RemoteState {
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.u8(*self as u8);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Open),
            1 => Ok(Self::Closed),
            2 => Ok(Self::GivenUp),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// What a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// It has not said yet.
    Unknown,
    /// Our extensions.
    Sturdy,
    /// Only what the reference speaks.
    Whatever,
}

impl Stored for PeerKind {
    fn write(&self, out: &mut RecordWriter<'_>) {
        out.u8(*self as u8);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Unknown),
            1 => Ok(Self::Sturdy),
            2 => Ok(Self::Whatever),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRecord {
    /// Its peer id.
    pub peer: String,
    /// Addresses where it may be found.
    pub hints: Vec<String>,
    /// Its incarnation as last seen (G9).
    pub peer_incarnation: Option<String>,
    /// The number of the conversation (L1).
    pub conversation: u64,
    /// What it speaks.
    pub kind: PeerKind,
    /// Whether we talk to it.
    pub state: RemoteState,
}

stored_struct!(RemoteRecord { peer, hints, peer_incarnation, conversation, kind, state });

/// Where the conversation with a remote stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCursor {
    /// The lowest number that the peer has not acknowledged.
    pub first_pending: u64,
    /// The number that the next message gets.
    pub next_send: u64,
    /// Everything up to this number was received and has taken effect.
    pub highest_received: u64,
    /// The last number that we gave to an object. Never goes back.
    pub last_object: u64,
    /// The last number that we gave to a promise. Never goes back.
    pub last_promise: u64,
    /// The highest number that the peer has given to an object in this conversation.
    pub peer_object: u64,
    /// The highest number that the peer has given to a promise in this conversation.
    pub peer_promise: u64,
    /// Bytes of the outbox.
    pub outbox_bytes: u64,
    /// Frames that were consumed because they could not be processed (L13).
    pub offences: u64,
    /// Rows of `remote-refs`.
    pub names: u64,
    /// Those of them that the peer has allocated (L9).
    pub peer_names: u64,
    /// One more than the highest number that a call to the peer may have, as the peer has asked for (L9). Zero while it
    /// has not.
    pub credit: u64,
    /// Messages to the peer that were refused before they took a number (L9).
    pub refused: u64,
    /// Numbers of the peer that never came and were skipped (L4).
    pub skipped: u64,
    /// When the first attempt failed since we last met it (L10), in milliseconds.
    pub unreachable_since: Option<u64>,
    /// Attempts that have failed since then.
    pub attempts: u64,
    /// Give it up after this many failed attempts; without it the kernel's own policy holds.
    pub max_attempts: Option<u64>,
    /// Give it up after this many milliseconds; without it the kernel's own policy holds.
    pub give_up_after_ms: Option<u64>,
    /// What we have said and the peer has acknowledged in this conversation, as one number (L8). Not known of a
    /// conversation that began under schema 3.
    pub acknowledged_history: Option<u64>,
    /// What we have received in this conversation, likewise.
    pub received_history: Option<u64>,
    /// The peer has a record of us: it has said more than a stranger hears (L12).
    pub recorded: bool,
    /// The last conversation with this life of the peer that we have ended after hearing something in it (L8).
    pub ended: Option<EndedConversation>,
}

/// Where a conversation stood when we ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedConversation {
    /// Its number.
    pub conversation: u64,
    /// See [`RemoteCursor::first_pending`].
    pub first_pending: u64,
    /// See [`RemoteCursor::next_send`].
    pub next_send: u64,
    /// See [`RemoteCursor::highest_received`].
    pub highest_received: u64,
    /// See [`RemoteCursor::acknowledged_history`].
    pub acknowledged_history: Option<u64>,
    /// See [`RemoteCursor::received_history`].
    pub received_history: Option<u64>,
}

stored_struct!(EndedConversation {
    conversation,
    first_pending,
    next_send,
    highest_received,
    acknowledged_history,
    received_history
});

impl Default for RemoteCursor {
    fn default() -> Self {
        Self {
            first_pending: 1,
            next_send: 1,
            highest_received: 0,
            last_object: 0,
            last_promise: 0,
            peer_object: 0,
            peer_promise: 0,
            outbox_bytes: 0,
            offences: 0,
            names: 0,
            peer_names: 0,
            credit: 0,
            refused: 0,
            skipped: 0,
            unreachable_since: None,
            attempts: 0,
            max_attempts: None,
            give_up_after_ms: None,
            acknowledged_history: Some(0),
            received_history: Some(0),
            recorded: false,
            ended: None,
        }
    }
}

stored_struct!(RemoteCursor {
    first_pending,
    next_send,
    highest_received,
    last_object,
    last_promise,
    peer_object,
    peer_promise,
    outbox_bytes,
    offences,
    names,
    peer_names,
    credit,
    refused,
    skipped,
    unreachable_since,
    attempts,
    max_attempts,
    give_up_after_ms,
    acknowledged_history,
    received_history,
    recorded,
    ended
});

/// A name in the conversation with a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteName {
    /// The name, in our frame.
    pub rref: RRef,
    /// For our exports: the peer can reach it. For our imports: the peer has not been told that we dropped it.
    pub reachable: bool,
    /// The number of the last message of ours that named it (L7).
    pub last_named: u64,
    /// It was exported to an incarnation of the peer that is gone; the present one has to redeem it again (L11).
    pub lost: bool,
}

stored_struct!(RemoteName { rref, reachable, last_named, lost });

/// Names of settled promises on their way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetiringRecord {
    /// The names.
    pub names: Vec<RRef>,
    /// One more than what the peer had numbered when it acknowledged the notification: once everything below has taken
    /// effect, the names are forgotten. Zero while it has not acknowledged.
    pub until: u64,
}

stored_struct!(RetiringRecord { names, until });

/// A settlement that waits (L5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithheldRecord {
    /// The last message that we sent to the promise: the settlement waits until what the peer made of it is here.
    pub sent: u64,
    /// One more than what the peer had numbered when it acknowledged that message. Zero while it has not.
    pub until: u64,
    /// How the promise is settled then.
    pub settlement: Settlement,
}

/// A settlement to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Known already.
    Is {
        /// True when the promise is rejected.
        rejected: bool,
        /// Its value or reason.
        value: CapData<KRef>,
    },
    /// That of another promise, once it has one.
    LikeThatOf(PromiseId),
}

stored_struct!(WithheldRecord { sent, until, settlement });

impl Stored for Settlement {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Is { rejected, value } => {
                out.u8(u8::from(*rejected));
                value.write(out);
            }
            Self::LikeThatOf(promise) => {
                out.u8(2);
                Stored::write(promise, out);
            }
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        Ok(match from.u8()? {
            tag @ (0 | 1) => Self::Is { rejected: tag == 1, value: CapData::read(from)? },
            2 => Self::LikeThatOf(Stored::read(from)?),
            _ => return Err(Corrupt::Variant),
        })
    }
}

impl Stored for RRef {
    fn write(&self, out: &mut RecordWriter<'_>) {
        let (variant, number) = parts(*self);
        out.u8(variant);
        out.number(number);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        let variant = from.u8()?;
        whole(variant, from.number()?)
    }
}

impl KeyPart for RRef {
    fn write(&self, out: &mut KeyWriter) {
        let (variant, number) = parts(*self);
        out.u8(variant);
        out.number(number);
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        let variant = from.u8()?;
        whole(variant, from.number()?)
    }

    fn text(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

const fn parts(rref: RRef) -> (u8, u64) {
    match rref {
        RRef::Export(number) => (0, number),
        RRef::Import(number) => (1, number),
        RRef::PromiseExport(number) => (2, number),
        RRef::PromiseImport(number) => (3, number),
    }
}

const fn whole(variant: u8, number: u64) -> Result<RRef, Corrupt> {
    match variant {
        0 => Ok(RRef::Export(number)),
        1 => Ok(RRef::Import(number)),
        2 => Ok(RRef::PromiseExport(number)),
        3 => Ok(RRef::PromiseImport(number)),
        _ => Err(Corrupt::Variant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{capdata, golden, krefs, round_trip};
    use proptest::prelude::*;
    use sturdy_types::ObjectId;

    const REMOTE: RemoteId = RemoteId(1);

    #[test]
    fn golden_bytes() {
        let record = RemoteRecord {
            peer: "P".into(),
            hints: vec!["/x".into()],
            peer_incarnation: Some("i".into()),
            conversation: 3,
            kind: PeerKind::Sturdy,
            state: RemoteState::Closed,
        };
        golden::<Remotes>(&REMOTE, &record, "6801", "015001022f78010169030101");
        golden::<RemotesByPeer>(&"P".to_owned(), &REMOTE, "6950", "01");
        golden::<RemoteCursors>(
            &REMOTE,
            &RemoteCursor::default(),
            "6a01",
            "010100000000000000000000000000000000010001000000",
        );
        golden::<Outbox>(&(REMOTE, 2), &"{}".to_owned(), "6b0102", "027b7d");
        let name = RemoteName { rref: RRef::Import(4), reachable: true, last_named: 5, lost: false };
        golden::<RemoteNames>(&(KRef::Object(ObjectId(6)), REMOTE), &name, "6c000601", "0104010500");
        golden::<RemoteRefs>(&(REMOTE, RRef::PromiseExport(7)), &KRef::Object(ObjectId(6)), "6d010207", "0006");
        let retiring = RetiringRecord { names: vec![RRef::PromiseImport(8)], until: 9 };
        golden::<Retiring>(&(REMOTE, 2), &retiring, "6e0102", "01030809");
        let settlement = Settlement::Is { rejected: true, value: CapData::plain("#1") };
        let withheld = WithheldRecord { sent: 1, until: 2, settlement };
        golden::<Withheld>(&(REMOTE, PromiseId(3)), &withheld, "6f0103", "01020102233100");
        let withheld = WithheldRecord { sent: 1, until: 0, settlement: Settlement::LikeThatOf(PromiseId(4)) };
        golden::<Withheld>(&(REMOTE, PromiseId(3)), &withheld, "6f0103", "01000204");
    }

    fn rrefs() -> impl Strategy<Value = RRef> {
        (0u8..4, any::<u64>()).prop_map(|(variant, number)| whole(variant, number).expect("a variant"))
    }

    proptest! {
        #[test]
        fn rows_come_back(
            remote in any::<u32>().prop_map(RemoteId), texts in any::<[String; 2]>(), number in any::<u64>(),
            numbers in any::<[u64; 14]>(), flags in any::<[bool; 3]>(), kref in krefs(), rref in rrefs(),
            value in capdata(), hints in proptest::collection::vec(".{0,10}", 0..3),
        ) {
            let record = RemoteRecord {
                peer: texts[0].clone(),
                hints,
                peer_incarnation: flags[0].then(|| texts[1].clone()),
                conversation: number,
                kind: PeerKind::Whatever,
                state: RemoteState::GivenUp,
            };
            round_trip::<Remotes>(&remote, &record);
            round_trip::<RemotesByPeer>(&texts[0], &remote);
            let [first_pending, next_send, highest_received, last_object, last_promise, peer_object, peer_promise, outbox_bytes, offences, names, peer_names, credit, refused, skipped] = numbers;
            let cursor = RemoteCursor {
                first_pending, next_send, highest_received, last_object, last_promise, peer_object, peer_promise,
                outbox_bytes, offences, names, peer_names, credit, refused, skipped,
                unreachable_since: flags[1].then_some(number),
                attempts: numbers[0],
                max_attempts: flags[2].then_some(numbers[1]),
                give_up_after_ms: flags[0].then_some(numbers[2]),
                acknowledged_history: flags[1].then_some(numbers[3]),
                received_history: flags[2].then_some(numbers[4]),
                recorded: flags[0],
                ended: flags[1].then_some(EndedConversation {
                    conversation: number,
                    first_pending,
                    next_send,
                    highest_received,
                    acknowledged_history: flags[2].then_some(numbers[5]),
                    received_history: flags[0].then_some(numbers[6]),
                }),
            };
            round_trip::<RemoteCursors>(&remote, &cursor);
            round_trip::<Outbox>(&(remote, number), &texts[1]);
            let name = RemoteName { rref, reachable: flags[0], last_named: number, lost: flags[1] };
            round_trip::<RemoteNames>(&(kref, remote), &name);
            round_trip::<RemoteRefs>(&(remote, rref), &kref);
            round_trip::<Retiring>(&(remote, number), &RetiringRecord { names: vec![rref], until: numbers[0] });
            for settlement in [Settlement::Is { rejected: flags[2], value }, Settlement::LikeThatOf(PromiseId(number))] {
                let withheld = WithheldRecord { sent: number, until: numbers[0], settlement };
                round_trip::<Withheld>(&(remote, PromiseId(number)), &withheld);
            }
        }
    }
}
