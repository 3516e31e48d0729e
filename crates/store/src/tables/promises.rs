//! The promise table, the messages waiting on unresolved promises, and the index of unresolved promises by decider.
//!
//! Keys: `18`, promise id · `19`, promise id, index in its queue · `1a`, decider, promise id.
//! A decider in a key is `00` nobody, `01` vat, `02` remote, `03` the kernel, followed by the id if there is one.

use crate::key::{KeyPart, KeyReader, KeyWriter};
use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use sturdy_types::{CallId, CapData, KRef, Message, PromiseId, RemoteId, SubclusterId, VatId};

tables! {
    /// Every promise that the kernel knows.
    Promises = 0x18, "promises", PromiseId, (), PromiseRecord;
    /// Messages waiting on an unresolved promise, by index.
    PromiseQueue = 0x19, "promise-queue", (PromiseId, u64), PromiseId, Message<KRef>;
    /// Which unresolved promises an endpoint decides.
    DecidedBy = 0x1a, "decided-by", (Decider, PromiseId), Decider, ();
}

/// Who may settle a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decider {
    /// Nobody yet: it is the result of a message that waits somewhere.
    Nobody,
    /// A vat of this kernel.
    Vat(VatId),
    /// A peer kernel.
    Remote(RemoteId),
    /// The kernel itself: a service was called.
    Kernel,
}

impl Stored for Decider {
    #[inline]
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Nobody => out.u8(0),
            Self::Vat(vat) => (out.u8(1), Stored::write(vat, out)).1,
            Self::Remote(remote) => (out.u8(2), Stored::write(remote, out)).1,
            Self::Kernel => out.u8(3),
        }
    }

    #[inline]
    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Nobody),
            1 => Stored::read(from).map(Self::Vat),
            2 => Stored::read(from).map(Self::Remote),
            3 => Ok(Self::Kernel),
            _ => Err(Corrupt::Variant),
        }
    }
}

impl KeyPart for Decider {
    #[inline]
    fn write(&self, out: &mut KeyWriter) {
        match self {
            Self::Nobody => out.u8(0),
            Self::Vat(vat) => (out.u8(1), KeyPart::write(vat, out)).1,
            Self::Remote(remote) => (out.u8(2), KeyPart::write(remote, out)).1,
            Self::Kernel => out.u8(3),
        }
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Nobody),
            1 => KeyPart::read(from).map(Self::Vat),
            2 => KeyPart::read(from).map(Self::Remote),
            3 => Ok(Self::Kernel),
            _ => Err(Corrupt::Variant),
        }
    }

    fn text(&self, out: &mut String) {
        match self {
            Self::Nobody => out.push_str("nobody"),
            Self::Vat(vat) => vat.text(out),
            Self::Remote(remote) => remote.text(out),
            Self::Kernel => out.push_str("kernel"),
        }
    }
}

/// Who wants to know how a promise settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subscriber {
    /// A vat: it is notified.
    Vat(VatId),
    /// A peer kernel: it is notified.
    Remote(RemoteId),
    /// A host caller.
    Call(CallId),
    /// The launch of a subcluster, waiting for its bootstrap.
    Launch(SubclusterId),
}

impl Stored for Subscriber {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Vat(vat) => (out.u8(0), Stored::write(vat, out)).1,
            Self::Remote(remote) => (out.u8(1), Stored::write(remote, out)).1,
            Self::Call(call) => (out.u8(2), Stored::write(call, out)).1,
            Self::Launch(subcluster) => (out.u8(3), Stored::write(subcluster, out)).1,
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Stored::read(from).map(Self::Vat),
            1 => Stored::read(from).map(Self::Remote),
            2 => Stored::read(from).map(Self::Call),
            3 => Stored::read(from).map(Self::Launch),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// Where a promise stands.
#[derive(Clone, Debug, PartialEq)]
pub enum PromiseState {
    /// Still open.
    Unresolved {
        /// Who may settle it.
        decider: Decider,
        /// Who waits for it, sorted, each once.
        subscribers: Vec<Subscriber>,
        /// The index of the next message to read from its queue.
        queue_head: u64,
        /// The index of the next message to write to its queue.
        queue_tail: u64,
    },
    /// Fulfilled with this.
    Fulfilled(CapData<KRef>),
    /// Rejected with this.
    Rejected(CapData<KRef>),
}

impl Stored for PromiseState {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Unresolved { decider, subscribers, queue_head, queue_tail } => {
                out.u8(0);
                Stored::write(decider, out);
                subscribers.write(out);
                out.number(*queue_head);
                out.number(*queue_tail);
            }
            Self::Fulfilled(value) => (out.u8(1), value.write(out)).1,
            Self::Rejected(reason) => (out.u8(2), reason.write(out)).1,
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        match from.u8()? {
            0 => Ok(Self::Unresolved {
                decider: Stored::read(from)?,
                subscribers: Stored::read(from)?,
                queue_head: from.number()?,
                queue_tail: from.number()?,
            }),
            1 => Stored::read(from).map(Self::Fulfilled),
            2 => Stored::read(from).map(Self::Rejected),
            _ => Err(Corrupt::Variant),
        }
    }
}

/// One promise.
#[derive(Clone, Debug, PartialEq)]
pub struct PromiseRecord {
    /// How many things mention it.
    pub refs: u64,
    /// Where it stands.
    pub state: PromiseState,
}

stored_struct!(PromiseRecord { refs, state });

/// As people read it in a dump.
impl std::fmt::Display for Decider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.text(&mut text);
        f.write_str(&text)
    }
}

impl std::fmt::Display for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vat(vat) => vat.fmt(f),
            Self::Remote(remote) => remote.fmt(f),
            Self::Call(call) => call.fmt(f),
            Self::Launch(subcluster) => write!(f, "launch of {subcluster}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{capdata, golden, messages, round_trip};
    use proptest::prelude::*;
    use sturdy_types::ObjectId;

    fn deciders() -> impl Strategy<Value = Decider> {
        prop_oneof![
            Just(Decider::Nobody),
            any::<u32>().prop_map(|id| Decider::Vat(VatId(id))),
            any::<u32>().prop_map(|id| Decider::Remote(RemoteId(id))),
            Just(Decider::Kernel),
        ]
    }

    fn subscribers() -> impl Strategy<Value = Subscriber> {
        prop_oneof![
            any::<u32>().prop_map(|id| Subscriber::Vat(VatId(id))),
            any::<u32>().prop_map(|id| Subscriber::Remote(RemoteId(id))),
            any::<u64>().prop_map(|id| Subscriber::Call(CallId(id))),
            any::<u32>().prop_map(|id| Subscriber::Launch(SubclusterId(id))),
        ]
    }

    fn states() -> impl Strategy<Value = PromiseState> {
        prop_oneof![
            (deciders(), proptest::collection::vec(subscribers(), 0..5), any::<(u64, u64)>()).prop_map(
                |(decider, subscribers, (queue_head, queue_tail))| PromiseState::Unresolved {
                    decider,
                    subscribers,
                    queue_head,
                    queue_tail
                }
            ),
            capdata().prop_map(PromiseState::Fulfilled),
            capdata().prop_map(PromiseState::Rejected),
        ]
    }

    #[test]
    fn golden_bytes() {
        let unresolved = PromiseState::Unresolved {
            decider: Decider::Vat(VatId(3)),
            subscribers: vec![Subscriber::Vat(VatId(1)), Subscriber::Launch(SubclusterId(2))],
            queue_head: 4,
            queue_tail: 6,
        };
        let record = PromiseRecord { refs: 2, state: unresolved };
        golden::<Promises>(&PromiseId(17), &record, "1811", "0200010302000103020406");
        let value = CapData { body: "#\"$0\"".into(), slots: vec![KRef::Object(ObjectId(5))] };
        let record = PromiseRecord { refs: 1, state: PromiseState::Fulfilled(value.clone()) };
        golden::<Promises>(&PromiseId(17), &record, "1811", "0101052322243022010005");
        let message = Message { methargs: value, result: Some(KRef::Promise(PromiseId(9))) };
        golden::<PromiseQueue>(&(PromiseId(17), 300), &message, "1911f9012c", "052322243022010005010109");
        golden::<DecidedBy>(&(Decider::Vat(VatId(3)), PromiseId(17)), &(), "1a010311", "");
        golden::<DecidedBy>(&(Decider::Kernel, PromiseId(17)), &(), "1a0311", "");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            id in any::<u64>(), index in any::<u64>(), refs in any::<u64>(), state in states(), message in messages(),
            decider in deciders(),
        ) {
            round_trip::<Promises>(&PromiseId(id), &PromiseRecord { refs, state });
            round_trip::<PromiseQueue>(&(PromiseId(id), index), &message);
            round_trip::<DecidedBy>(&(decider, PromiseId(id)), &());
        }
    }
}
