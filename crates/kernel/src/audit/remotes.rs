//! The part of the audit that recounts remotes: names, outboxes, what waits for a peer's numbers.

use super::Auditor;
use std::collections::{BTreeMap, BTreeSet};
use sturdy_store::{
    CountersTable, Decider, Losses, Objects, Outbox, Owner, PromiseState, Promises, Read, Redemptions, RemoteCursor,
    RemoteCursors, RemoteName, RemoteNames, RemoteRefs, Remotes, RemotesByPeer, Retiring, Settlement, StoreFault,
    Subscriber, UrlExpiries, UrlUses, Urls, UrlsByOid, Withheld,
};
use sturdy_types::{KRef, PromiseId, RRef, RemoteId, UrlId};

impl<R: Read> Auditor<'_, R> {
    /// What names, withheld settlements and issued texts hold.
    pub(super) fn tally_remotes(&mut self) -> Result<(), StoreFault> {
        let mut by_kref: BTreeMap<(KRef, RemoteId), RemoteName> = BTreeMap::new();
        let mut krefs: Vec<KRef> = self.all::<Objects>(&())?.into_iter().map(|(id, _)| id.into()).collect();
        krefs.extend(self.all::<Promises>(&())?.into_iter().map(|(id, _)| KRef::Promise(id)));
        for kref in krefs {
            by_kref.extend(self.all::<RemoteNames>(&kref)?);
        }
        for (remote, record) in self.all::<Remotes>(&())? {
            if self.read.get::<RemotesByPeer>(&record.peer)? != Some(remote) {
                self.problem(format!("{remote} is not found by its peer id"));
            }
            let Some(cursor) = self.read.get::<RemoteCursors>(&remote)? else {
                self.problem(format!("{remote} has no cursor"));
                continue;
            };
            self.tally_names(remote, &cursor, &mut by_kref)?;
            self.check_outbox(remote, &cursor)?;
            self.tally_withheld(remote, &cursor)?;
            for (_, row) in self.all::<Redemptions>(&remote)? {
                self.service_results.insert(row.promise);
            }
        }
        for ((kref, remote), name) in by_kref {
            self.problem(format!("{remote} has {kref} as {}, but not {} as {kref}", name.rref, name.rref));
        }
        self.tally_urls()
    }

    /// A URL holds its object until it is used up, and is found by its oid and its time.
    fn tally_urls(&mut self) -> Result<(), StoreFault> {
        let issued = self.read.get::<CountersTable>(&())?.unwrap_or_default().urls;
        let urls = self.all::<Urls>(&())?;
        let (mut by_oid, mut expiring) = (BTreeSet::new(), BTreeSet::new());
        for (id, url) in urls {
            if !matches!(url.uses, UrlUses::Used { .. }) {
                self.hold(url.object.into());
            } else if url.redeemed == 0 || url.expires_at.is_none() {
                self.problem(format!("{id} is used up and was redeemed by nobody, or is remembered for ever"));
            }
            if id.0 > issued {
                self.problem(format!("{id} was never handed out"));
            }
            by_oid.insert(id);
            expiring.extend(url.expires_at.map(|at| (at, id)));
            if self.read.get::<UrlsByOid>(&url.oid)? != Some(id) {
                self.problem(format!("{id} is not found by its oid"));
            }
        }
        let listed: BTreeSet<UrlId> = self.all::<UrlsByOid>(&())?.into_iter().map(|(_, id)| id).collect();
        if listed != by_oid {
            self.problem(format!("the URLs are {by_oid:?}, and {listed:?} by their oids"));
        }
        let timed: BTreeSet<_> = self.all::<UrlExpiries>(&())?.into_iter().map(|(key, ())| key).collect();
        if timed != expiring {
            self.problem(format!("the URLs that expire are {expiring:?}, and {timed:?} by their times"));
        }
        Ok(())
    }

    fn tally_names(
        &mut self,
        remote: RemoteId,
        cursor: &RemoteCursor,
        by_kref: &mut BTreeMap<(KRef, RemoteId), RemoteName>,
    ) -> Result<(), StoreFault> {
        let mut retiring: BTreeSet<RRef> = BTreeSet::new();
        for (_, row) in self.all::<Retiring>(&remote)? {
            retiring.extend(row.names);
        }
        let refs = self.all::<RemoteRefs>(&remote)?;
        if refs.len() as u64 != cursor.names {
            self.problem(format!("{remote} has {} names and counts {}", refs.len(), cursor.names));
        }
        let peers =
            refs.iter().filter(|((_, rref), _)| matches!(rref, RRef::Export(_) | RRef::PromiseExport(_))).count();
        if peers as u64 != cursor.peer_names {
            self.problem(format!("{remote} has allocated {peers} names and counts {}", cursor.peer_names));
        }
        let (losses, mut lost) = (self.read.get::<Losses>(&remote)?, 0);
        for ((_, rref), kref) in refs {
            self.check_number(remote, cursor, rref);
            let name = by_kref.get(&(kref, remote)).copied().filter(|name| name.rref == rref);
            lost += u64::from(name.is_some_and(|name| name.lost));
            if name.is_some() {
                by_kref.remove(&(kref, remote));
            }
            match (kref, rref, name) {
                (KRef::Promise(id), RRef::PromiseImport(_) | RRef::PromiseExport(_), name) => {
                    self.hold(kref);
                    let settled = self.is_settled(id)?;
                    match (name, retiring.remove(&rref), settled) {
                        (Some(_), false, false) | (None, true, true) => {}
                        (name, listed, settled) => self.problem(format!(
                            "{remote} has {kref} as {rref}: named {}, retiring {listed}, settled {settled}",
                            name.is_some()
                        )),
                    }
                }
                (KRef::Object(_), RRef::Import(_), Some(name)) => {
                    self.tally(kref).recognizable += 1;
                    self.tally(kref).reachable += u64::from(name.reachable);
                }
                (KRef::Object(id), RRef::Export(_), Some(_)) => {
                    let owner = self.read.get::<Objects>(&id)?.map(|object| object.owner);
                    if owner != Some(Owner::Remote(remote)) {
                        self.problem(format!("{remote} exports {kref}, whose owner is {owner:?}"));
                    }
                }
                _ => self.problem(format!("{remote} has {kref} under the name {rref}, which cannot be")),
            }
        }
        // An older program has marked some and counted none.
        if losses.is_some_and(|losses| losses.held == 0 || losses.held > lost) {
            self.problem(format!("{remote} has lost {lost} names and counts {losses:?}"));
        }
        for rref in retiring {
            self.problem(format!("{remote} is about to forget {rref}, which it does not have"));
        }
        Ok(())
    }

    fn is_settled(&self, id: PromiseId) -> Result<bool, StoreFault> {
        let state = self.read.get::<Promises>(&id)?.map(|promise| promise.state);
        Ok(matches!(state, Some(PromiseState::Fulfilled(_) | PromiseState::Rejected(_))))
    }

    fn check_number(&mut self, remote: RemoteId, cursor: &RemoteCursor, rref: RRef) {
        let given = match rref {
            RRef::Import(number) => number <= cursor.last_object,
            RRef::PromiseImport(number) => number <= cursor.last_promise,
            RRef::PromiseExport(number) => number <= cursor.peer_promise,
            RRef::Export(_) => true, // outlives the conversation in which it was counted
        };
        if !given {
            self.problem(format!("{remote} has the name {rref}, which was never given"));
        }
    }

    fn check_outbox(&mut self, remote: RemoteId, cursor: &RemoteCursor) -> Result<(), StoreFault> {
        let rows = self.all::<Outbox>(&remote)?;
        if cursor.first_pending == 0
            || !rows.iter().map(|((_, seq), _)| *seq).eq(cursor.first_pending..cursor.next_send)
        {
            self.problem(format!("the outbox of {remote} is not {}..{}", cursor.first_pending, cursor.next_send));
        }
        let bytes: u64 = rows.iter().map(|(_, text)| text.len() as u64).sum();
        if bytes != cursor.outbox_bytes {
            self.problem(format!("the outbox of {remote} has {bytes} bytes and counts {}", cursor.outbox_bytes));
        }
        for ((_, seq), row) in self.all::<Retiring>(&remote)? {
            let acknowledged = seq < cursor.first_pending;
            if seq >= cursor.next_send || (row.until != 0 && !acknowledged) || row.names.is_empty() {
                self.problem(format!("{remote} waits for the acknowledgement of {seq}: {row:?}"));
            }
        }
        Ok(())
    }

    fn tally_withheld(&mut self, remote: RemoteId, cursor: &RemoteCursor) -> Result<(), StoreFault> {
        for ((_, id), row) in self.all::<Withheld>(&remote)? {
            match &row.settlement {
                Settlement::Is { value, .. } => self.hold_slots(value),
                Settlement::LikeThatOf(home) => self.hold((*home).into()),
            }
            let decider = self.read.get::<Promises>(&id)?.map(|promise| promise.state);
            if !matches!(decider, Some(PromiseState::Unresolved { decider: Decider::Remote(by), .. }) if by == remote) {
                self.problem(format!("the settlement of {id} by {remote} waits, and {remote} does not decide it"));
            }
            if row.sent >= cursor.next_send || (row.until != 0 && row.sent >= cursor.first_pending) {
                self.problem(format!("the settlement of {id} waits for what was never sent: {row:?}"));
            }
            let known = matches!(row.settlement, Settlement::Is { .. });
            if known && row.until != 0 && row.until - 1 <= cursor.highest_received {
                self.problem(format!("the settlement of {id} by {remote} waits for nothing"));
            }
        }
        Ok(())
    }

    /// Whether a promise that a remote decides can be settled by it.
    pub(super) fn remote_answers(&self, remote: RemoteId, id: PromiseId) -> Result<bool, StoreFault> {
        Ok(self.read.has::<RemoteNames>(&(id.into(), remote))? || self.read.has::<Withheld>(&(remote, id))?)
    }

    /// A subscribed peer must know the promise by name, or it could not be told.
    pub(super) fn check_remote_subscriber(
        &mut self,
        remote: RemoteId,
        id: PromiseId,
        decider: Decider,
    ) -> Result<(), StoreFault> {
        let withheld = self.read.has::<Withheld>(&(remote, id))?;
        if !self.read.has::<RemoteNames>(&(id.into(), remote))? || (decider == Decider::Remote(remote) && !withheld) {
            self.problem(format!("{remote} is subscribed to {id} and cannot be told"));
        }
        Ok(())
    }

    /// An unsettled promise that a peer knows and does not decide is one of which it hears (G12).
    pub(super) fn check_told(
        &mut self,
        id: PromiseId,
        decider: Decider,
        subscribers: &[Subscriber],
    ) -> Result<(), StoreFault> {
        for ((_, remote), _) in self.all::<RemoteNames>(&id.into())? {
            let settles = decider == Decider::Remote(remote) && !self.read.has::<Withheld>(&(remote, id))?;
            if !settles && !subscribers.contains(&Subscriber::Remote(remote)) {
                self.problem(format!("{remote} waits for {id}, which will not tell it"));
            }
        }
        Ok(())
    }

    /// What nobody here reaches of a peer's is told to the peer at once (G15).
    pub(super) fn check_remote_garbage(
        &mut self,
        remote: RemoteId,
        id: sturdy_types::ObjectId,
        reachable: u64,
        recognizable: u64,
    ) -> Result<(), StoreFault> {
        match self.read.get::<RemoteNames>(&(id.into(), remote))? {
            None => self.problem(format!("{id} is owned by {remote}, which does not export it")),
            Some(name) => {
                if recognizable == 0 || (reachable == 0) == name.reachable {
                    self.problem(format!("{id} of {remote} is held by {reachable},{recognizable}: {name:?}"));
                }
            }
        }
        Ok(())
    }
}
