//! G11, G15, law 10: what may be refused is refused at its limit, so that queues do not grow beyond it, whatever vats and
//! peers do; and what is volatile is small.
//!
//! Lenient: notifications always fit, so only messages and redemptions are counted against the limits of an inbox, a
//! promise's queue and an outbox. Names that we give out are not refused, so only a peer's count against their limit.

use super::Checker;
use crate::machine::Machine;
use crate::plan::Plan;
use crate::seen::{KernelNo, Seen};
use std::collections::BTreeMap;
use sturdy_node::Volatile;
use sturdy_store::{
    Inbox, Item, Outbox, PromiseQueue, PromiseState, Promises, Read, RemoteRefs, Remotes, Store, StoreFault, VatCursors,
};
use sturdy_types::{KernelLimits, RRef};

/// Commits between two looks at the tables of a kernel.
const COMMITS: u64 = 32;

/// Moments that a node remembers of its last ones.
const MOMENTS: usize = 256;

/// The checker.
pub struct Bounded {
    limits: KernelLimits,
    commits: BTreeMap<KernelNo, u64>,
}

/// What a message of a peer may cause at once: it is taken in, or not, before that is known.
const AT_ONCE: u64 = 1_000;

/// Bytes that may go beyond a limit: one message that still found room, and many short ones that nobody may refuse.
const BYTES_AT_ONCE: u64 = (1 << 20) + 500 * AT_ONCE;

/// Messages of one peer that are held because they came too early, and bytes of their frames, one of which may be as long
/// as any.
const HELD: (usize, usize) = (1_024 + 1, (4 << 20) + (1 << 20));

/// What grew beyond its limit in a store.
fn beyond(store: &Store, limits: &KernelLimits) -> Result<Option<String>, StoreFault> {
    for (vat, _) in store.scan::<VatCursors>(&(), None, usize::MAX)? {
        let rows = store.scan::<Inbox>(&vat, None, usize::MAX)?;
        let messages = rows.iter().filter(|(_, item)| matches!(item, Item::Send { .. })).count() as u64;
        if messages > limits.inbox_items {
            return Ok(Some(format!("{messages} messages wait for {vat}")));
        }
    }
    for (id, promise) in store.scan::<Promises>(&(), None, usize::MAX)? {
        let PromiseState::Unresolved { queue_head, queue_tail, .. } = promise.state else { continue };
        if queue_tail - queue_head > limits.promise_queue_items {
            let rows = store.scan::<PromiseQueue>(&id, None, usize::MAX)?.len();
            return Ok(Some(format!("{rows} messages wait for {id}")));
        }
    }
    let remotes = store.scan::<Remotes>(&(), None, usize::MAX)?;
    if remotes.len() > limits.remotes {
        return Ok(Some(format!("there are {} peers", remotes.len())));
    }
    for (remote, record) in remotes {
        let rows = store.scan::<Outbox>(&remote, None, usize::MAX)?;
        let refusable =
            |text: &str| text.contains("\"params\":[\"message\",") || text.contains("\"method\":\"redeemURL\",");
        let messages = rows.iter().filter(|(_, text)| refusable(text)).count() as u64;
        if messages > limits.remote_outbox_messages {
            return Ok(Some(format!("{messages} messages wait for {}", record.peer)));
        }
        let all = rows.len() as u64;
        if all > limits.remote_reserved_messages + AT_ONCE {
            return Ok(Some(format!("{all} messages of all kinds wait for {}", record.peer)));
        }
        let bytes: u64 = rows.iter().map(|(_, text)| text.len() as u64).sum();
        if bytes > limits.remote_outbox_bytes.max(limits.remote_reserved_bytes) + BYTES_AT_ONCE {
            return Ok(Some(format!("{bytes} bytes wait for {}", record.peer)));
        }
        let names = store.scan::<RemoteRefs>(&remote, None, usize::MAX)?;
        let theirs = names.iter().filter(|((_, rref), _)| matches!(rref, RRef::Export(_) | RRef::PromiseExport(_)));
        let theirs = theirs.count() as u64;
        if theirs > limits.remote_names {
            return Ok(Some(format!("{} has given {theirs} names", record.peer)));
        }
    }
    Ok(None)
}

/// What grew beyond its limit in memory.
fn in_memory(volatile: Volatile, peers: usize, limits: &KernelLimits) -> Option<String> {
    let Volatile { held_messages, held_bytes, strangers } = volatile;
    let (messages, bytes) = HELD;
    let within = held_messages <= messages * peers && held_bytes <= bytes * peers && strangers <= limits.strangers;
    (!within).then(|| format!("in memory, with {peers} peers: {volatile:?}"))
}

impl Bounded {
    /// For a run with these limits.
    pub fn new(plan: &Plan) -> Self {
        Self { limits: plan.limits.clone(), commits: BTreeMap::new() }
    }

    fn look(&self, machine: &Machine) -> Result<(), String> {
        let Some(node) = machine.node() else { return Ok(()) };
        let moments = node.flight_record().moments().count();
        if moments > MOMENTS {
            return Err(format!("the flight record has {moments} moments"));
        }
        if machine.disk_fails() {
            return Ok(());
        }
        let peers = node.store().scan::<Remotes>(&(), None, usize::MAX).unwrap_or_default().len();
        if let Some(what) = in_memory(node.volatile(), peers, &self.limits) {
            return Err(what);
        }
        match beyond(node.store(), &self.limits) {
            Ok(None) => Ok(()),
            Ok(Some(what)) => Err(what),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

impl Checker for Bounded {
    fn name(&self) -> &'static str {
        "bounded"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, machines: &[Machine]) -> Result<(), String> {
        let (Seen::Committed(_), Some(machine)) = (seen, machines.get(kernel)) else { return Ok(()) };
        let commits = self.commits.entry(kernel).or_default();
        *commits += 1;
        let held = machine.node().map_or(0, sturdy_node::Node::held_effects);
        if held > 0 {
            return Err(format!("kernel {kernel} holds {held} effects back after a commit"));
        }
        if commits.is_multiple_of(COMMITS) {
            self.look(machine).map_err(|what| format!("kernel {kernel}: {what}"))?;
        }
        Ok(())
    }

    fn at_rest(&mut self, machines: &[Machine]) -> Result<(), String> {
        machines.iter().try_for_each(|machine| {
            if machine.pending() > 0 {
                return Err(format!("kernel {} has {} deliveries under way", machine.number, machine.pending()));
            }
            self.look(machine).map_err(|what| format!("kernel {}: {what}", machine.number))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::empty_store;
    use crate::machine::peer;
    use sturdy_store::{Decider, PeerKind, PromiseRecord, RemoteRecord, RemoteState, VatCursor};
    use sturdy_types::{CapData, KRef, Message, ObjectId, PromiseId, RemoteId, VatId};

    fn limits() -> KernelLimits {
        KernelLimits {
            inbox_items: 2,
            promise_queue_items: 2,
            remote_outbox_messages: 2,
            remote_names: 2,
            ..KernelLimits::default()
        }
    }

    /// A store with so many items, messages parked on a promise, messages and others in an outbox, and names.
    fn store(items: u64, parked: u64, outbox: u64, names: u64) -> Store {
        let mut store = empty_store(1);
        let mut turn = store.begin();
        turn.put::<VatCursors>(&VatId(1), &VatCursor::default());
        for number in 0..items {
            let message = Message { methargs: CapData::plain("#[]"), result: None };
            turn.put::<Inbox>(&(VatId(1), number), &Item::Send { target: ObjectId(1), message });
            turn.put::<Inbox>(&(VatId(1), 100 + number), &Item::Notify(PromiseId(1)));
        }
        let state = PromiseState::Unresolved {
            decider: Decider::Nobody,
            subscribers: Vec::new(),
            queue_head: 5,
            queue_tail: 5 + parked,
        };
        turn.put::<Promises>(&PromiseId(1), &PromiseRecord { refs: 1, state });
        let record = RemoteRecord {
            peer: peer(1),
            hints: Vec::new(),
            peer_incarnation: None,
            conversation: 1,
            kind: PeerKind::Sturdy,
            state: RemoteState::Open,
        };
        turn.put::<Remotes>(&RemoteId(1), &record);
        for number in 0..outbox {
            let text = |what: &str| format!("{{\"seq\":{number},\"method\":\"deliver\",\"params\":[\"{what}\",[]]}}");
            turn.put::<Outbox>(&(RemoteId(1), number), &text("message"));
            turn.put::<Outbox>(&(RemoteId(1), 1_000_000 + number), &text("notify"));
        }
        for number in 0..names {
            let kref = KRef::Object(ObjectId(number));
            turn.put::<RemoteRefs>(&(RemoteId(1), RRef::Export(number)), &kref);
            turn.put::<RemoteRefs>(&(RemoteId(1), RRef::Import(number)), &kref);
        }
        turn.merge().expect("a store in memory takes it");
        store
    }

    fn found(items: u64, parked: u64, outbox: u64, names: u64) -> Option<String> {
        beyond(&store(items, parked, outbox, names), &limits()).expect("it can be read")
    }

    #[test]
    fn peers_and_what_waits_for_them_are_bounded() {
        let found = |limits: &KernelLimits| beyond(&store(0, 0, AT_ONCE, 0), limits).expect("it can be read");
        assert_eq!(found(&KernelLimits::default()), None);
        assert!(found(&KernelLimits { remote_reserved_messages: AT_ONCE / 2, ..KernelLimits::default() }).is_some());
        assert!(found(&KernelLimits { remotes: 0, ..KernelLimits::default() }).is_some());
    }

    #[test]
    fn what_is_in_memory_is_bounded() {
        let found = |held_messages, held_bytes, strangers| {
            in_memory(Volatile { held_messages, held_bytes, strangers }, 2, &KernelLimits { strangers: 3, ..limits() })
        };
        assert_eq!(found(2_050, 10 << 20, 3), None);
        assert!(found(2_051, 0, 0).is_some() && found(0, (10 << 20) + 1, 0).is_some() && found(0, 0, 4).is_some());
    }

    #[test]
    fn bytes_in_an_outbox_are_bounded() {
        let mut store = store(0, 0, 1, 0);
        let mut turn = store.begin();
        turn.put::<Outbox>(&(RemoteId(1), 7), &"x".repeat(2_000_000));
        turn.merge().expect("a store in memory takes it");
        let small = KernelLimits { remote_outbox_bytes: 1_000, remote_reserved_bytes: 2_000, ..limits() };
        assert!(beyond(&store, &small).expect("it can be read").is_some());
        assert_eq!(beyond(&store, &limits()).expect("it can be read"), None);
    }

    #[test]
    fn what_is_beyond_its_limit_is_found() {
        assert_eq!(found(2, 2, 2, 2), None);
        assert!(found(3, 0, 0, 0).is_some());
        assert!(found(0, 3, 0, 0).is_some());
        assert!(found(0, 0, 3, 0).is_some());
        assert!(found(0, 0, 0, 3).is_some());
    }
}
