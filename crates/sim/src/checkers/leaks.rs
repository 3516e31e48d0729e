//! G8, G15: when everything has healed, all that was to be delivered is delivered; and when everybody has let go of
//! everything, nothing is left.
//!
//! [`Liveness`]: no message waits in any queue, none is under way between kernels, nobody waits to be started or asked for
//! garbage. [`Leaks`]: only roots, services and what is documented as not collected has a row.
//!
//! Lenient about what is documented: what is to be told to a peer that was closed or given up waits until it is there
//! again; a vat that could not be started waits to be restarted, with its notifications and what it holds; peers that have lost their stores, were set back, given
//! up, closed for good, forgotten, or lie; and what such peers' objects keep alive. A run in which any of that has
//! happened is held only against the promise that nothing waits, and that no call, no URL and no row of a terminated vat
//! is left.

use super::Checker;
use crate::machine::Machine;
use crate::plan::{Fault, Plan};
use crate::seen::{BeginsWith, KernelNo, Seen};
use sturdy_kernel::{Event, Request};
use sturdy_store::{
    Calls, ClistByKref, DoomedVats, GcActions, Inbox, Objects, Outbox, Owner, PromiseQueue, Promises, Read,
    Redemptions, RemoteRefs, RemoteState, Remotes, Retiring, Store, StoreFault, Urls, VatCursors, VatStatus, Vats,
    Withheld,
};
use sturdy_types::VRef;

/// Nothing waits once everything has healed.
pub struct Liveness;

/// Nothing is left once everything was let go of.
pub struct Leaks {
    excused: Excused,
    /// It has looked, and nothing was excused.
    looked_at_all: bool,
}

/// What may be left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Excused {
    /// Promises and objects: something has happened after which peers may keep what nobody needs.
    references: bool,
    /// Calls: a store was set back to a time before its host acknowledged them.
    calls: bool,
}

/// What still waits in a store.
fn waits(store: &Store) -> Result<Option<String>, StoreFault> {
    for (vat, record) in store.scan::<Vats>(&(), None, usize::MAX)? {
        let inbox = store.scan::<Inbox>(&vat, None, 1)?.len();
        let garbage = store.scan::<GcActions>(&vat, None, 1)?.len();
        let cursor = store.get::<VatCursors>(&vat)?.unwrap_or_default();
        if matches!(record.status, VatStatus::Failed(_)) {
            continue;
        }
        if inbox + garbage > 0 || cursor.start_due || record.status == VatStatus::Starting {
            return Ok(Some(format!("{vat} is not done: {cursor:?}, {:?}", record.status)));
        }
    }
    for (id, _) in store.scan::<Promises>(&(), None, usize::MAX)? {
        let parked = store.scan::<PromiseQueue>(&id, None, 1)?;
        if let Some((_, message)) = parked.first() {
            return Ok(Some(format!("{} waits for {id}", message.methargs.body)));
        }
    }
    for (remote, record) in store.scan::<Remotes>(&(), None, usize::MAX)? {
        let waits = record.state == RemoteState::Open;
        let outbox = if waits { store.scan::<Outbox>(&remote, None, 1)?.len() } else { 0 };
        let withheld = store.scan::<Withheld>(&remote, None, 1)?.len();
        let retiring = store.scan::<Retiring>(&remote, None, 1)?.len();
        let redemptions = store.scan::<Redemptions>(&remote, None, 1)?.len();
        if outbox + withheld + retiring + redemptions > 0 {
            let what = format!("outbox {outbox}, withheld {withheld}, retiring {retiring}, redemptions {redemptions}");
            return Ok(Some(format!("{} has something left: {what}", record.peer)));
        }
    }
    Ok(None)
}

/// What is left in a store.
fn left(store: &Store, excused: Excused) -> Result<Option<String>, StoreFault> {
    if let Some((call, record)) = store.scan::<Calls>(&(), None, 1)?.first()
        && !excused.calls
    {
        return Ok(Some(format!("{call}: {record:?}")));
    }
    if let Some((url, record)) = store.scan::<Urls>(&(), None, 1)?.first() {
        return Ok(Some(format!("{url:?} for {}", record.object)));
    }
    if let Some((vat, ())) = store.scan::<DoomedVats>(&(), None, 1)?.first() {
        return Ok(Some(format!("rows of the terminated {vat}")));
    }
    if excused.references {
        return Ok(None);
    }
    if let Some((id, record)) = store.scan::<Promises>(&(), None, usize::MAX)?.first() {
        return Ok(Some(format!("{id}: {record:?}")));
    }
    for (id, record) in store.scan::<Objects>(&(), None, usize::MAX)? {
        let root = match record.owner {
            Owner::Kernel => true,
            Owner::Vat(vat) => {
                store.get::<ClistByKref>(&(id.into(), vat))?.is_some_and(|entry| entry.vref == VRef::ROOT)
            }
            Owner::Remote(_) | Owner::Orphan => false,
        };
        if !root {
            return Ok(Some(format!("{id}: {record:?}")));
        }
    }
    for (remote, record) in store.scan::<Remotes>(&(), None, usize::MAX)? {
        if let Some(((_, rref), kref)) = store.scan::<RemoteRefs>(&remote, None, 1)?.first() {
            return Ok(Some(format!("{} and we have {rref} for {kref}", record.peer)));
        }
    }
    Ok(None)
}

fn in_every_store(
    machines: &[Machine],
    look: impl Fn(&Store) -> Result<Option<String>, StoreFault>,
) -> Result<(), String> {
    for machine in machines {
        let Some(store) = machine.node().map(sturdy_node::Node::store) else { continue };
        match look(store) {
            Ok(None) => {}
            Ok(Some(what)) => return Err(format!("kernel {}: {what}", machine.number)),
            Err(fault) => return Err(fault.to_string()),
        }
    }
    Ok(())
}

impl Checker for Liveness {
    fn name(&self) -> &'static str {
        "liveness"
    }

    fn see(&mut self, _kernel: KernelNo, _seen: &Seen, _machines: &[Machine]) -> Result<(), String> {
        Ok(())
    }

    fn all_answered(&mut self, machines: &[Machine]) -> Result<(), String> {
        in_every_store(machines, waits)
    }

    fn at_the_end(&mut self, machines: &[Machine]) -> Result<(), String> {
        in_every_store(machines, waits)
    }
}

impl Leaks {
    /// For a run of this plan.
    pub fn new(plan: &Plan) -> Self {
        let faults = [Fault::Liars, Fault::Impatient];
        let references = faults.iter().any(|fault| plan.rate(*fault) > 0);
        Self { excused: Excused { references, calls: false }, looked_at_all: false }
    }
}

/// Whether a kernel ends a conversation in which its peer may know more than it does.
fn ends_a_conversation(request: &Request) -> bool {
    matches!(request, Request::GiveUp(_) | Request::ForgetPeer(_) | Request::ClosePeer { .. })
}

fn has_failed_vats(store: &Store) -> bool {
    let vats = store.scan::<Vats>(&(), None, usize::MAX).unwrap_or_default();
    vats.iter().any(|(_, vat)| matches!(vat.status, VatStatus::Failed(_)))
}

impl Checker for Leaks {
    fn name(&self) -> &'static str {
        "no_leaks"
    }

    fn see(&mut self, _kernel: KernelNo, seen: &Seen, _machines: &[Machine]) -> Result<(), String> {
        match seen {
            Seen::Begun { with: BeginsWith::NoStore, .. } => self.excused.references = true,
            Seen::Begun { with: BeginsWith::OldCopy, .. } => self.excused = Excused { references: true, calls: true },
            Seen::Event(Event::Asked(_, request)) => self.excused.references |= ends_a_conversation(request),
            _ => {}
        }
        Ok(())
    }

    fn at_the_end(&mut self, machines: &[Machine]) -> Result<(), String> {
        let stores = machines.iter().filter_map(Machine::node).map(sturdy_node::Node::store);
        self.excused.references |= stores.into_iter().any(has_failed_vats);
        in_every_store(machines, |store| left(store, self.excused))?;
        self.looked_at_all = self.excused == Excused::default();
        Ok(())
    }

    fn looked_at_all(&self) -> bool {
        self.looked_at_all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::{empty_store, vat};
    use sturdy_store::{
        ClistEntry, Decider, Item, ObjectRecord, PromiseRecord, PromiseState, Turn, UrlRecord, UrlUses, VatCursor,
    };
    use sturdy_types::{CapData, Hold, KRef, Message, ObjectId, Oid, PromiseId, UrlId, VatId};

    fn store(fill: impl FnOnce(&mut Turn<'_>)) -> Store {
        let mut store = empty_store(1);
        let mut turn = store.begin();
        turn.put::<Vats>(&VatId(1), &vat());
        turn.put::<VatCursors>(&VatId(1), &VatCursor::default());
        let root = ObjectRecord { owner: Owner::Vat(VatId(1)), reachable: 0, recognizable: 0, pins: 1, revoked: false };
        turn.put::<Objects>(&ObjectId(1), &root);
        let entry = ClistEntry { vref: VRef::ROOT, reachable: true, hold: Hold::None };
        turn.put::<ClistByKref>(&(KRef::Object(ObjectId(1)), VatId(1)), &entry);
        fill(&mut turn);
        turn.merge().expect("a store in memory takes it");
        store
    }

    fn promise() -> PromiseRecord {
        let decider = Decider::Nobody;
        let state = PromiseState::Unresolved { decider, subscribers: Vec::new(), queue_head: 0, queue_tail: 0 };
        PromiseRecord { refs: 1, state }
    }

    fn is_left(store: &Store, references: bool) -> bool {
        left(store, Excused { references, calls: false }).expect("it can be read").is_some()
    }

    fn does_wait(store: &Store) -> bool {
        waits(store).expect("it can be read").is_some()
    }

    #[test]
    fn roots_may_stay() {
        let store = store(|_| ());
        assert!(!is_left(&store, false));
        assert!(!does_wait(&store));
    }

    #[test]
    fn everything_else_is_found() {
        let object = ObjectRecord { owner: Owner::Orphan, reachable: 1, recognizable: 1, pins: 0, revoked: false };
        assert!(is_left(&store(|turn| turn.put::<Objects>(&ObjectId(2), &object)), false));
        assert!(!is_left(&store(|turn| turn.put::<Objects>(&ObjectId(2), &object)), true));
        let oid = Oid::from_random(&[1; 32]);
        let (uses, object) = (UrlUses::Many, ObjectId(1));
        let url = UrlRecord { oid, object, issued_at: 0, expires_at: None, uses, redeemed: 0 };
        assert!(is_left(&store(|turn| turn.put::<Promises>(&PromiseId(2), &promise())), false));
        assert!(is_left(&store(|turn| turn.put::<Urls>(&UrlId(1), &url)), true));
    }

    #[test]
    fn what_waits_is_found() {
        assert!(does_wait(&store(|turn| turn.put::<Inbox>(&(VatId(1), 1), &Item::Notify(PromiseId(1))))));
        let start_due = VatCursor { start_due: true, ..VatCursor::default() };
        assert!(does_wait(&store(|turn| turn.put::<VatCursors>(&VatId(1), &start_due))));
        let message = Message { methargs: CapData::plain("#[]"), result: None };
        assert!(does_wait(&store(|turn| {
            turn.put::<Promises>(&PromiseId(1), &promise());
            turn.put::<PromiseQueue>(&(PromiseId(1), 0), &message);
        })));
    }
}
