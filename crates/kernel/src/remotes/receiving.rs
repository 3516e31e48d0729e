//! What a peer says takes effect: acknowledgements, messages, settlements, garbage (`remote/LINK.md`, "Receiving one
//! message, in one turn").
//!
//! What always holds: the position moves by one per message, whatever the message says; a message that can never be
//! processed changes nothing else but a counter and at most the result that it names (L13); messages that the kernel makes
//! because of this one are numbered before one that acknowledges it is (L5).

use super::names::flipped;
use super::validate::{Speaker, Target};
use crate::blame::{Fault, broken};
use crate::ctx::Ctx;
use crate::event::Notice;
use std::ops::Range;
use sturdy_remote::{AckBeyondSent, Body, Delivered, Envelope, History, Receipt, RedeemReply, digest};
use sturdy_smallcaps::extract_single_ref;
use sturdy_store::{
    DecidedBy, Decider, Objects, Outbox, Owner, PeerKind, Read, RemoteName, RemoteNames, Remotes, Retiring,
    RetiringRecord, VatCursors,
};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CapData, Code, KRef, KernelError, Message, PromiseId, RRef, RemoteId, Resolution};

/// How many rows are looked at at once.
const FEW_ROWS: usize = 32;

/// What became of a numbered message.
#[derive(Debug)]
pub enum Heard {
    /// It has taken effect, or was consumed.
    Taken,
    /// It had before: acknowledge it again.
    Duplicate,
    /// Something before it is missing. It is handed back.
    Gap(Box<Envelope>),
    /// It is the next one, and there is no room for it now (L9): it is not accepted. It is handed back.
    NoRoom(Box<Envelope>),
    /// It acknowledges what was never sent: nothing changed, hang up.
    Liar(AckBeyondSent),
}

/// What the peer had numbered when it acknowledged something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Numbered {
    /// Everything up to here.
    UpTo(u64),
    /// It did not say.
    Unknown,
}

/// Why a message can never be processed.
pub(crate) struct Offence {
    pub(super) why: String,
    result: Option<RRef>,
}

/// The turn of a numbered message. `digest` is that of its frame (`sturdy_remote::digest`).
pub fn hear(ctx: &mut Ctx<'_, '_>, remote: RemoteId, envelope: Envelope, digest: u64) -> Result<Heard, Fault> {
    let receipt = super::position(&ctx.remote_cursor(remote)?).receipt(envelope.seq);
    let freed = match envelope.ack {
        Some(ack) => ctx.acknowledged(remote, ack, Numbered::UpTo(envelope.seq))?,
        None => Ok(0..0),
    };
    let freed = match freed {
        Ok(freed) => freed,
        Err(lie) => return Ok(Heard::Liar(lie)),
    };
    let receipt = if defect::broken(Defect::GapAccepted) && receipt == Receipt::Gap { Receipt::Next } else { receipt };
    let heard = match receipt {
        Receipt::Next if !ctx.has_room(&ctx.remote_cursor(remote)?, &envelope.body) => {
            Heard::NoRoom(Box::new(envelope))
        }
        Receipt::Next => {
            ctx.take(remote, envelope, digest)?;
            Heard::Taken
        }
        Receipt::Duplicate => Heard::Duplicate,
        Receipt::Gap => Heard::Gap(Box::new(envelope)),
    };
    ctx.work_off(remote, freed)?;
    ctx.close()?;
    Ok(heard)
}

/// The turn of a standalone acknowledgement. `Some` if it covers what was never sent: nothing changed, hang up. `room` is
/// what the peer has said of its room for calls (L9).
pub fn hear_ack(
    ctx: &mut Ctx<'_, '_>,
    remote: RemoteId,
    ack: u64,
    alloc: Option<u64>,
    room: Option<u64>,
) -> Result<Option<AckBeyondSent>, Fault> {
    let numbered = alloc.map_or(Numbered::Unknown, Numbered::UpTo);
    let stale = ack + 1 < ctx.remote_cursor(remote)?.first_pending;
    let freed = match ctx.acknowledged(remote, ack, numbered)? {
        Ok(freed) => freed,
        Err(lie) => return Ok(Some(lie)),
    };
    if let Some(room) = room.filter(|_| !stale) {
        // Plenty is the same as nothing said.
        let credit =
            if room < ctx.limits.remote_outbox_messages { ack.saturating_add(room).saturating_add(1) } else { 0 };
        ctx.change_remote(remote, |cursor| cursor.credit = credit)?;
    }
    ctx.work_off(remote, freed)?;
    ctx.close()?;
    Ok(None)
}

/// The turn in which the numbers before `seq` are not waited for any longer: the peer is not of our own kind and has
/// given them up (L4).
pub fn skip_gap(ctx: &mut Ctx<'_, '_>, remote: RemoteId, seq: u64) -> Result<(), Fault> {
    let first = ctx.remote_cursor(remote)?.highest_received + 1;
    if first < seq && ctx.need::<Remotes>(&remote)?.kind == PeerKind::Whatever {
        ctx.change_remote(remote, |cursor| {
            cursor.highest_received = seq - 1;
            cursor.skipped += seq - first;
        })?;
        let why = format!("its messages {first} to {} never came, they are not waited for any longer", seq - 1);
        ctx.notice(Notice::PeerOffended { remote, why });
        ctx.work_off(remote, 0..0)?;
    }
    ctx.close()
}

impl Ctx<'_, '_> {
    /// Frees what the peer has, and notes until when it may still use names that it was told are settled. Returns the
    /// numbers that were freed.
    fn acknowledged(
        &mut self,
        remote: RemoteId,
        ack: u64,
        numbered: Numbered,
    ) -> Result<Result<Range<u64>, AckBeyondSent>, Fault> {
        let cursor = self.remote_cursor(remote)?;
        let mut position = super::position(&cursor);
        let freed = match position.acknowledged(ack) {
            Ok(freed) => freed,
            Err(lie) => return Ok(Err(lie)),
        };
        let (mut bytes, mut said) = (0, cursor.acknowledged_history.map(History));
        for seq in freed.clone() {
            let text = self.need::<Outbox>(&(remote, seq))?;
            bytes += text.len() as u64;
            said = said.map(|said| said.then(digest(text.as_bytes())));
            self.delete::<Outbox>(&(remote, seq));
        }
        if !freed.is_empty() {
            let left = cursor.outbox_bytes.checked_sub(bytes);
            let left =
                left.ok_or_else(|| broken(format!("the count of bytes in the outbox of {remote} underflows")))?;
            self.change_remote(remote, |cursor| {
                cursor.first_pending = freed.end;
                cursor.outbox_bytes = left;
                cursor.acknowledged_history = said.map(|said| said.0);
            })?;
        }
        // A `whatever` peer forwards after it has acknowledged, so its numbers prove nothing.
        if let Numbered::UpTo(until) = numbered
            && self.need::<Remotes>(&remote)?.kind == PeerKind::Sturdy
        {
            self.date(remote, freed.clone(), ack, until + 1)?; // so that zero means: not acknowledged
        }
        Ok(Ok(freed))
    }

    /// Everything that waited for `ack` waits for the number `until` of the peer from now on. Notifications are dated when
    /// they are freed and never later: a peer of our own kind says what it has numbered whenever it acknowledges.
    fn date(&mut self, remote: RemoteId, freed: Range<u64>, ack: u64, until: u64) -> Result<(), Fault> {
        for seq in freed {
            if let Some(retiring) = self.get::<Retiring>(&(remote, seq))? {
                self.put::<Retiring>(&(remote, seq), &RetiringRecord { until, ..retiring });
            }
        }
        self.date_withheld(remote, ack, until)
    }

    /// What waited for numbers of the peer that have taken effect now. `freed` is what this turn's acknowledgement covers:
    /// mostly it has waited for nothing else.
    fn work_off(&mut self, remote: RemoteId, freed: Range<u64>) -> Result<(), Fault> {
        let highest_received = self.remote_cursor(remote)?.highest_received;
        let due = |until: u64| until != 0 && until - 1 <= highest_received;
        let retires = |row: &RetiringRecord| {
            !defect::broken(Defect::SettledNotRetired) && (defect::broken(Defect::RetiredTooEarly) || due(row.until))
        };
        for seq in freed {
            if let Some(row) = self.get::<Retiring>(&(remote, seq))?.filter(retires) {
                self.retire(remote, seq, row)?;
            }
        }
        let (mut few, mut last) = (1, None); // mostly the first one is not due yet
        loop {
            // After the last one, or each look would pass all that this turn has deleted.
            let rows = self.turn.scan::<Retiring>(&remote, last.as_ref(), few)?;
            // They are acknowledged in order and so become due in order.
            let rows: Vec<_> = rows.into_iter().take_while(|(_, row)| retires(row)).collect();
            let all = rows.len() == few;
            last = rows.last().map(|(key, _)| *key);
            for ((_, seq), row) in rows {
                self.retire(remote, seq, row)?;
            }
            if !all {
                break;
            }
            few = FEW_ROWS;
        }
        self.settle_withheld(remote, highest_received)
    }

    fn retire(&mut self, remote: RemoteId, seq: u64, row: RetiringRecord) -> Result<(), Fault> {
        self.delete::<Retiring>(&(remote, seq));
        row.names.into_iter().try_for_each(|name| self.forget_ref(remote, name))
    }

    /// The next message takes effect, then the position moves.
    pub(super) fn take(&mut self, remote: RemoteId, envelope: Envelope, digest: u64) -> Result<(), Fault> {
        let Envelope { seq, ack, body } = envelope;
        // Strangers hear nothing else (L12).
        let refusal = matches!(body, Ok(Body::RedeemUrlReply { reply: RedeemReply::Refused(_), .. }));
        let taken = match body {
            Err(why) => Err(Offence { why, result: None }),
            Ok(Body::Deliver(delivered)) => self.take_delivered(remote, ack.unwrap_or(0), delivered)?,
            Ok(Body::RedeemUrl { url, key }) => self.answer_redemption(remote, &url, key)?,
            Ok(Body::RedeemUrlReply { key, reply }) => self.redeemed(remote, &key, reply)?,
        };
        if let Err(offence) = taken {
            if defect::broken(Defect::PoisonNotConsumed) {
                return Ok(());
            }
            self.consume(remote, offence)?;
        }
        self.drain()?;
        self.change_remote(remote, |cursor| {
            cursor.highest_received = seq;
            cursor.received_history = cursor.received_history.map(|heard| History(heard).then(digest).0);
            cursor.recorded |= !refusal;
        })
    }

    /// A message that can never be processed (L13).
    fn consume(&mut self, remote: RemoteId, Offence { why, result }: Offence) -> Result<(), Fault> {
        let cursor = self.remote_cursor(remote)?;
        if let Some(result) = result
            && cursor.peer_names < self.limits.remote_names
            && self.check_result(Speaker { remote, cursor: &cursor }, result)?.is_ok()
        {
            let id = self.result_from_remote(remote, result)?;
            self.reject(id, Code::DeliveryFailed, format!("the message was refused: {why}"))?;
        }
        self.count_offence(remote, why)
    }

    fn take_delivered(
        &mut self,
        remote: RemoteId,
        ack: u64,
        delivered: Delivered,
    ) -> Result<Result<(), Offence>, Fault> {
        match delivered {
            Delivered::Message { target, message } => self.take_message(remote, target, message),
            Delivered::Notify(batch) => self.take_settlements(remote, ack, batch),
            Delivered::DropExports(names) => self.take_garbage(remote, ack, &names, Let::Go),
            Delivered::RetireExports(names) => self.take_garbage(remote, ack, &names, Let::Retire),
            Delivered::RetireImports(names) => self.take_gone(remote, &names),
            Delivered::BringOutYourDead => {
                // Only vats that have worked since their last reap. How often a peer is heeded is the node's matter.
                for (vat, cursor) in self.scan::<VatCursors>(&())? {
                    if cursor.deliveries_since_reap > 0 && !cursor.failed {
                        self.schedule_reap(vat)?;
                    }
                }
                Ok(Ok(()))
            }
        }
    }

    fn take_message(
        &mut self,
        remote: RemoteId,
        target: RRef,
        message: Message<RRef>,
    ) -> Result<Result<(), Offence>, Fault> {
        let cursor = self.remote_cursor(remote)?;
        let by = Speaker { remote, cursor: &cursor };
        if let Err(why) = self.check_message(by, target, &message)? {
            return Ok(Err(Offence { why, result: message.result }));
        }
        let target = match self.check_target(by, target)? {
            Target::Known(kref) => Some(kref),
            Target::Gone => None,
            Target::Wrong(why) => return Ok(Err(Offence { why, result: message.result })),
        };
        // Crossed even if the target is gone: the peer believes that we hold what it mentions.
        let methargs = self.capdata_to_kernel_from(remote, message.methargs)?;
        let handed_over = match message.result {
            Some(rref) => !self.is_fresh(remote, rref)?,
            None => false,
        };
        let result = message.result.map(|rref| self.result_from_remote(remote, rref)).transpose()?;
        let gone = || KernelError::new(Code::ObjectDeleted, "the target does not exist any more");
        let target = target.ok_or_else(gone);
        // Its sender may have higher limits: that is no offence.
        let target = target.and_then(|target| self.too_large(&methargs, Code::MessageTooLarge).map_or(Ok(target), Err));
        let target = if handed_over && self.goes_in_circles(remote, result)? {
            let why = "its result came home from the peer too often before anything settled it: calls wait for each \
                       other in a circle, or go to and fro between two kernels, each at what the one before results in";
            Err(KernelError::new(Code::DeliveryFailed, why))
        } else {
            target
        };
        match (target, result) {
            (Ok(target), _) => self.send(target, Message { methargs, result: result.map(KRef::Promise) })?,
            (Err(error), Some(result)) => self.settle(result, true, error.to_capdata())?,
            (Err(_), None) => {}
        }
        Ok(Ok(()))
    }

    fn take_settlements(
        &mut self,
        remote: RemoteId,
        ack: u64,
        mut batch: Vec<Resolution<RRef>>,
    ) -> Result<Result<(), Offence>, Fault> {
        let cursor = self.remote_cursor(remote)?;
        let by = Speaker { remote, cursor: &cursor };
        if self.need::<Remotes>(&remote)?.kind == PeerKind::Whatever {
            self.leave_out_echoes(by, &mut batch)?;
        }
        if let Err(why) = self.check_settlements(by, &batch)? {
            return Ok(Err(Offence { why, result: None }));
        }
        let mut settled = Vec::with_capacity(batch.len());
        for Resolution { promise, rejected, value } in batch {
            if let KRef::Promise(id) = self.remote_to_kernel(remote, promise)? {
                let value = self.capdata_to_kernel_from(remote, value)?;
                match self.too_large(&value, Code::AnswerLost) {
                    Some(error) => settled.push((id, true, error.to_capdata())),
                    None => settled.push((id, rejected, value)),
                }
            }
        }
        for (id, rejected, value) in settled {
            self.settled_by_peer(remote, ack, id, rejected, value)?;
        }
        Ok(Ok(()))
    }

    /// The reference tells us again what we told it (wire-protocol §3.5). What it says of a promise that is not settled is no
    /// echo.
    fn leave_out_echoes(&self, by: Speaker<'_>, batch: &mut Vec<Resolution<RRef>>) -> Result<(), Fault> {
        let mut left = Vec::with_capacity(batch.len());
        for one in batch.drain(..) {
            if !self.is_echo(by, one.promise)? {
                left.push(one);
            }
        }
        *batch = left;
        Ok(())
    }

    fn is_echo(&self, by: Speaker<'_>, promise: RRef) -> Result<bool, Fault> {
        Ok(match (self.named(by.remote, promise)?, promise) {
            (Some(KRef::Promise(id)), _) => self.decider(id)?.is_none(),
            // What we have forgotten was settled, or the waiting for it has ended.
            (None, RRef::PromiseImport(number)) => number <= by.cursor.last_promise,
            (None, RRef::PromiseExport(number)) => number <= by.cursor.peer_promise,
            _ => false,
        })
    }

    /// The peer settles a promise: at once, or, if later messages could overtake those that went to it, once these have
    /// come back (L5).
    fn settled_by_peer(
        &mut self,
        remote: RemoteId,
        ack: u64,
        id: PromiseId,
        rejected: bool,
        value: CapData<KRef>,
    ) -> Result<(), Fault> {
        let sent = self.need::<RemoteNames>(&(id.into(), remote))?.last_named;
        self.unlink_name(remote, id.into())?;
        let next = if rejected { None } else { extract_single_ref(&value).copied() };
        let comes_home = match next {
            None => false,
            Some(KRef::Object(object)) => self.need::<Objects>(&object)?.owner != Owner::Remote(remote),
            Some(kref @ KRef::Promise(_)) if self.peer_decides(remote, kref)? => {
                // Whatever went to this promise is on its way to that one.
                let name = self.need::<RemoteNames>(&(kref, remote))?;
                let last_named = name.last_named.max(sent);
                self.put::<RemoteNames>(&(kref, remote), &RemoteName { last_named, ..name });
                false
            }
            Some(KRef::Promise(_)) => true,
        };
        let comes_home = comes_home && !defect::broken(Defect::SettledBeforePipelineIsHome);
        if comes_home && sent > ack && self.need::<Remotes>(&remote)?.kind == PeerKind::Sturdy {
            return self.withhold(remote, id, sent, (rejected, value));
        }
        self.settle(id, rejected, value)
    }

    /// The peer lets go of objects of ours (L7).
    fn take_garbage(
        &mut self,
        remote: RemoteId,
        ack: u64,
        names: &[RRef],
        how: Let,
    ) -> Result<Result<(), Offence>, Fault> {
        let cursor = self.remote_cursor(remote)?;
        let whatever = self.need::<Remotes>(&remote)?.kind == PeerKind::Whatever;
        let mut found = Vec::with_capacity(names.len());
        for &name in names {
            let rref = match name {
                RRef::Export(_) if whatever => flipped(name), // its signs are wrong here (wire-protocol §3.5)
                other => other,
            };
            let RRef::Import(number) = rref else {
                return Ok(Err(offence(format!("{name} is no object of ours to let go of"))));
            };
            match self.named(remote, rref)? {
                Some(KRef::Object(id)) => found.push(id),
                _ if number <= cursor.last_object => {}
                _ => return Ok(Err(offence(format!("the peer was never given {name}")))),
            }
        }
        for id in found {
            // A name may stand twice in the list.
            let Some(name) = self.name_of(remote, id.into())? else { continue };
            let stale = name.lost || (ack < name.last_named && !defect::broken(Defect::StaleDropCounts));
            match how {
                Let::Go if name.reachable && !stale => {
                    self.put::<RemoteNames>(&(id.into(), remote), &RemoteName { reachable: false, ..name });
                    self.weaken(id)?;
                }
                Let::Retire if !name.reachable && !stale => self.unlink_name(remote, id.into())?,
                // A peer that retires what it reaches has not dropped it: as if it had said nothing.
                Let::Go | Let::Retire => {}
            }
        }
        Ok(Ok(()))
    }

    /// Objects of the peer are gone.
    fn take_gone(&mut self, remote: RemoteId, names: &[RRef]) -> Result<Result<(), Offence>, Fault> {
        let whatever = self.need::<Remotes>(&remote)?.kind == PeerKind::Whatever;
        let mut found = Vec::with_capacity(names.len());
        for &name in names {
            let rref = match name {
                RRef::Import(_) if whatever => flipped(name),
                other => other,
            };
            match (rref, self.named(remote, rref)?) {
                (RRef::Export(_), Some(KRef::Object(id))) => found.push(id),
                (RRef::Export(_), _) => {} // we have forgotten it, and the peer does not know yet
                _ => return Ok(Err(offence(format!("{name} is no object of the peer")))),
            }
        }
        for id in found {
            if self.name_of(remote, id.into())?.is_some() {
                self.orphan_remote_object(remote, id)?;
            }
        }
        Ok(Ok(()))
    }

    /// The owner of an object is no more, or has forgotten it.
    pub(crate) fn orphan_remote_object(&mut self, remote: RemoteId, id: sturdy_types::ObjectId) -> Result<(), Fault> {
        self.unlink_name(remote, id.into())?;
        let mut object = self.need::<Objects>(&id)?;
        object.owner = Owner::Orphan;
        self.put::<Objects>(&id, &object);
        self.maybe_free.insert(id.into());
        Ok(())
    }

    /// Rejects everything that the peer was deciding.
    pub(crate) fn reject_remote(&mut self, remote: RemoteId, error: &KernelError) -> Result<(), Fault> {
        let decider = Decider::Remote(remote);
        for ((_, id), ()) in self.scan::<DecidedBy>(&decider)? {
            if self.decider(id)? == Some(decider) {
                self.settle(id, true, error.to_capdata())?;
            }
        }
        Ok(())
    }
}

/// How a peer lets go.
#[derive(Clone, Copy)]
enum Let {
    Go,
    Retire,
}

pub(crate) fn offence(why: String) -> Offence {
    Offence { why, result: None }
}
