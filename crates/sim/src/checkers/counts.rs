//! G15, G8, between kernels: when everything is at rest, both sides of a conversation agree on it.
//!
//! What one side gave out as `-N` the other has as `+N`, objects and promises alike, with the same reachability; nothing
//! is pending, withheld or on its way out; and each side's first pending number is one more than what the other has
//! received. (That each kernel's own counts agree with a recount is the audit's business, which the world runs.)
//!
//! Lenient: an object named only in a message of a conversation that was given up stays exported, and one whose
//! retirement was given up stays imported (`remote/LINK.md`, known limits): from the second conversation on only one
//! direction is compared. Names marked as lost are the old incarnation's. What a message named that could not be processed
//! (`remote_names`) is known to one side only, and a store that was set back behind everybody's back may fill numbers that
//! it has forgotten (known limit): then only positions are compared.

use super::Checker;
use super::lines::kernel_of;
use super::standing::{Standing, standing};
use crate::machine::{Machine, peer};
use crate::seen::{BeginsWith, KernelNo, Seen};
use std::collections::{BTreeMap, BTreeSet};
use sturdy_store::{
    Outbox, PromiseState, Promises, Read, RemoteCursor, RemoteNames, RemoteRecord, RemoteRefs, RemoteState, Remotes,
    Retiring, Settlement, Store, Withheld, WithheldRecord,
};
use sturdy_types::{KRef, RRef, RemoteId};

/// The checker.
#[derive(Default)]
pub struct Counts {
    /// Kernels whose stores were set back.
    set_back: BTreeSet<KernelNo>,
}

/// What is compared of two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Positions,
    Names,
}

/// How a side has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Reachable,
    Unreachable,
    Lost,
    /// A settled promise on its way out.
    OnlyByName,
}

/// One side of a conversation.
#[derive(Debug)]
struct Side {
    record: RemoteRecord,
    cursor: RemoteCursor,
    names: BTreeMap<RRef, Has>,
    /// Rows that mean that something is on its way out.
    on_their_way: Vec<String>,
}

fn side(store: &Store, other: KernelNo) -> Option<Side> {
    let Standing { remote, record, cursor } = standing(store, &peer(other))?;
    let mut names = BTreeMap::new();
    for ((_, rref), kref) in store.scan::<RemoteRefs>(&remote, None, usize::MAX).ok()? {
        let has = match store.get::<RemoteNames>(&(kref, remote)).ok()? {
            Some(name) if name.rref != rref => Has::OnlyByName,
            Some(name) if name.lost => Has::Lost,
            Some(name) if name.reachable => Has::Reachable,
            Some(_) => Has::Unreachable,
            None if matches!(kref, KRef::Promise(_)) => Has::OnlyByName,
            None => Has::Lost,
        };
        names.insert(rref, has);
    }
    let on_their_way = on_their_way(store, remote)?;
    Some(Side { record, cursor, names, on_their_way })
}

/// A settlement that is withheld waits for the peer, unless it will be that of a promise that is not settled itself: that is
/// a matter of who settles that one, which other checkers look at (vats can make calls wait for each other in a circle).
fn waits_for_the_peer(store: &Store, row: &WithheldRecord) -> bool {
    match row.settlement {
        Settlement::Is { .. } => true,
        Settlement::LikeThatOf(home) => !store
            .get::<Promises>(&home)
            .is_ok_and(|promise| promise.is_some_and(|it| matches!(it.state, PromiseState::Unresolved { .. }))),
    }
}

fn on_their_way(store: &Store, remote: RemoteId) -> Option<Vec<String>> {
    let outbox = store.scan::<Outbox>(&remote, None, usize::MAX).ok()?.into_iter().map(|row| format!("{row:?}"));
    let retiring = store.scan::<Retiring>(&remote, None, usize::MAX).ok()?.into_iter().map(|row| format!("{row:?}"));
    let withheld = store.scan::<Withheld>(&remote, None, usize::MAX).ok()?.into_iter();
    let withheld = withheld.filter(|(_, row)| waits_for_the_peer(store, row)).map(|row| format!("{row:?}"));
    Some(outbox.chain(retiring).chain(withheld).collect())
}

const fn flipped(rref: RRef) -> RRef {
    match rref {
        RRef::Export(number) => RRef::Import(number),
        RRef::Import(number) => RRef::Export(number),
        RRef::PromiseExport(number) => RRef::PromiseImport(number),
        RRef::PromiseImport(number) => RRef::PromiseExport(number),
    }
}

/// Whether a name was given out by the other side.
const fn is_theirs(rref: RRef) -> bool {
    matches!(rref, RRef::Export(_) | RRef::PromiseExport(_))
}

/// What `one` has and `other` does not have alike.
fn disagreement(one: &Side, other: &Side, compare: Compare) -> Option<String> {
    if let Some(first) = one.on_their_way.first() {
        return Some(format!("{} rows are still on their way out, the first of them {first}", one.on_their_way.len()));
    }
    if one.cursor.first_pending != one.cursor.next_send || one.cursor.next_send != other.cursor.highest_received + 1 {
        return Some(format!("positions differ: {:?} and {:?}", one.cursor, other.cursor));
    }
    if compare == Compare::Positions || one.cursor.offences + other.cursor.offences > 0 {
        return None;
    }
    let later = one.record.conversation > 1 || other.record.conversation > 1;
    for (rref, has) in &one.names {
        let theirs = other.names.get(&flipped(*rref)).copied();
        let agree = match (has, theirs) {
            (Has::Lost | Has::OnlyByName, _) => true,
            (_, None | Some(Has::Lost)) => later && !matches!(rref, RRef::PromiseExport(_) | RRef::PromiseImport(_)),
            (Has::Unreachable, Some(Has::Reachable)) => later && is_theirs(*rref),
            (Has::Reachable, Some(Has::Unreachable)) => later && !is_theirs(*rref),
            (_, Some(_)) => true,
        };
        if !agree {
            return Some(format!("it has {rref} ({has:?}), and the other has {theirs:?}"));
        }
    }
    None
}

/// Whether both sides mean the same conversation, and talk to each other.
fn same_conversation(one: &Side, other: &Side, incarnations: (&str, &str)) -> bool {
    one.record.conversation == other.record.conversation
        && one.record.peer_incarnation.as_deref() == Some(incarnations.1)
        && other.record.peer_incarnation.as_deref() == Some(incarnations.0)
        && one.record.state == RemoteState::Open
        && other.record.state == RemoteState::Open
}

impl Checker for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, _machines: &[Machine]) -> Result<(), String> {
        if let Seen::Begun { with: BeginsWith::OldCopy, .. } = seen {
            self.set_back.insert(kernel);
        }
        Ok(())
    }

    fn at_rest(&mut self, machines: &[Machine]) -> Result<(), String> {
        for machine in machines {
            let Some(store) = machine.node().map(sturdy_node::Node::store) else { continue };
            for (_, record) in store.scan::<Remotes>(&(), None, usize::MAX).unwrap_or_default() {
                let Some(number) = kernel_of(&record.peer).filter(|number| *number != machine.number) else { continue };
                let Some(their_store) = machines.get(number).and_then(Machine::node).map(sturdy_node::Node::store)
                else {
                    continue;
                };
                let (Some(one), Some(other)) = (side(store, number), side(their_store, machine.number)) else {
                    continue;
                };
                let names = (store.incarnation().to_string(), their_store.incarnation().to_string());
                let excused = self.set_back.contains(&number) || self.set_back.contains(&machine.number);
                let compare = if excused { Compare::Positions } else { Compare::Names };
                if same_conversation(&one, &other, (&names.0, &names.1))
                    && let Some(what) = disagreement(&one, &other, compare)
                {
                    return Err(format!("kernel {} about kernel {number}: {what}", machine.number));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sturdy_store::PeerKind;

    fn a_side(conversation: u64, names: &[(RRef, Has)], (next_send, highest_received): (u64, u64)) -> Side {
        let record = RemoteRecord {
            peer: peer(1),
            hints: Vec::new(),
            peer_incarnation: None,
            conversation,
            kind: PeerKind::Sturdy,
            state: RemoteState::Open,
        };
        let cursor = RemoteCursor { first_pending: next_send, next_send, highest_received, ..RemoteCursor::default() };
        Side { record, cursor, names: names.iter().copied().collect(), on_their_way: Vec::new() }
    }

    #[test]
    fn positions_agree_and_nothing_is_on_its_way() {
        let other = a_side(1, &[], (4, 8));
        assert_eq!(disagreement(&a_side(1, &[], (9, 3)), &other, Compare::Names), None);
        assert!(disagreement(&a_side(1, &[], (8, 3)), &other, Compare::Names).is_some());
        assert!(
            disagreement(&Side { on_their_way: vec!["one".into()], ..a_side(1, &[], (9, 3)) }, &other, Compare::Names)
                .is_some()
        );
        let mut pending = a_side(1, &[], (9, 3));
        pending.cursor.first_pending = 8;
        assert!(disagreement(&pending, &other, Compare::Names).is_some());
    }

    fn compared(conversation: u64, one: &[(RRef, Has)], other: &[(RRef, Has)]) -> bool {
        let (one, other) = (a_side(conversation, one, (1, 0)), a_side(conversation, other, (1, 0)));
        disagreement(&one, &other, Compare::Names).is_none() && disagreement(&other, &one, Compare::Names).is_none()
    }

    #[test]
    fn names_agree_in_both_directions() {
        let (ours, theirs) = ((RRef::Import(3), Has::Reachable), (RRef::Export(3), Has::Reachable));
        assert!(compared(1, &[ours], &[theirs]));
        assert!(!compared(1, &[ours], &[]));
        assert!(!compared(1, &[], &[theirs]));
        assert!(!compared(1, &[ours], &[(RRef::Export(4), Has::Reachable)]));
        assert!(!compared(1, &[ours], &[(RRef::Export(3), Has::Unreachable)]));
        assert!(!compared(1, &[(RRef::PromiseImport(3), Has::Reachable)], &[]));
        assert!(compared(1, &[(RRef::PromiseImport(3), Has::OnlyByName)], &[]));
    }

    #[test]
    fn what_was_given_up_may_stay() {
        let ours = (RRef::Import(3), Has::Reachable);
        assert!(compared(2, &[ours], &[]));
        assert!(compared(2, &[ours], &[(RRef::Export(3), Has::Unreachable)]));
        assert!(!compared(2, &[(RRef::Import(3), Has::Unreachable)], &[(RRef::Export(3), Has::Reachable)]));
        assert!(!compared(2, &[(RRef::PromiseExport(3), Has::Reachable)], &[]));
    }
}
