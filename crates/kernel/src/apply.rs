//! One event, one turn: what each event does, and what the kernel does when the fault was a vat's.

use crate::blame::{Blame, Fault, Refused, VatFault};
use crate::control::{Answer, Request, Ticket};
use crate::crank::Plan;
use crate::ctx::Ctx;
use crate::event::{Effect, Event};
use sturdy_store::{DoomedVats, Objects, Owner, Read, Subclusters, TicketFor, Tickets, VatCursors, VatState};
use sturdy_types::{Code, KRef, KernelError, SubclusterId, VatId};

/// Works out the turn of one event. `plan` is the plan of the crank that a `Delivered` event answers; the caller has
/// checked that it is the one in flight. On a blame the caller drops the turn; see [`answer_for`].
pub fn apply(ctx: &mut Ctx<'_, '_>, event: Event, plan: Option<&Plan>) -> Result<(), Blame> {
    match event {
        Event::Boot { died_on, system_names } => ctx.boot(died_on.as_ref(), &system_names)?,
        Event::Delivered { outcome, .. } => {
            if let Some(plan) = plan {
                ctx.finish(plan, outcome)?;
            }
        }
        Event::Asked(ticket, request) => ctx.ask(ticket, request)?,
        Event::ServiceAnswered { call, rejected, value } => ctx.service_answered(call, rejected, value)?,
        Event::UrlServiceServed { call, host } => ctx.serve_url_call(call, &host)?,
        // The node's links make turns of their own of these.
        Event::Connected { .. }
        | Event::Received { .. }
        | Event::Disconnected { .. }
        | Event::DialFailed { .. }
        | Event::Tick => {}
        Event::Idle => ctx.idle()?,
    }
    Ok(ctx.close()?)
}

/// The turn that answers for a vat's fault, after the crank's own turn was dropped (G3).
pub fn answer_for(ctx: &mut Ctx<'_, '_>, plan: &Plan, fault: &VatFault) -> Result<(), Fault> {
    ctx.answer_for_vat(plan, fault)?;
    ctx.close()
}

/// Deletes some rows of terminated vats. Returns whether any are left.
pub fn tidy_up(ctx: &mut Ctx<'_, '_>) -> Result<bool, Fault> {
    let Some((vat, ())) = ctx.turn.scan::<DoomedVats>(&(), None, 1)?.pop() else { return Ok(false) };
    let limit = ctx.limits.cleanup_rows_per_turn;
    let rows = ctx.turn.scan::<VatState>(&(vat, String::new()), None, limit)?;
    let last = rows.len() < limit;
    for (key, _) in rows {
        ctx.delete::<VatState>(&key);
    }
    if last {
        ctx.delete::<DoomedVats>(&vat);
    }
    Ok(true)
}

impl Ctx<'_, '_> {
    /// Does what is asked and answers, or leaves a ticket for the answer.
    fn ask(&mut self, ticket: Ticket, request: Request) -> Result<(), Blame> {
        let answer = match request {
            Request::Launch(request) => return self.launch(ticket, *request),
            Request::RestartVat(vat) => {
                self.restart_vat(vat)?;
                return self.leave_ticket(vat, ticket);
            }
            Request::ReloadVat { vat, config, sources } => {
                self.reload_vat(vat, &config, &sources)?;
                return self.leave_ticket(vat, ticket);
            }
            Request::TerminateSubcluster(id) => {
                self.terminate_subcluster(id, "somebody asked for it")?;
                Answer::Done
            }
            Request::TerminateVat { vat, reason } => self.terminate_on_request(vat, &reason)?,
            Request::Call { target, methargs, request } => self.call(target, methargs, request)?,
            Request::Acknowledge(call) => self.acknowledge(call)?,
            Request::Revoke(kref) => self.revoke(kref)?,
            Request::IsRevoked(kref) => {
                let id = self.known_object(kref)?;
                Answer::Revoked(self.need::<Objects>(&id)?.revoked)
            }
            Request::Pin(kref) => {
                let id = self.known_object(kref)?;
                self.pin(id)?;
                Answer::Done
            }
            Request::Unpin(kref) => self.unpin_for_host(kref)?,
            Request::RegisterService { name, system_only } => self.register_service(&name, system_only)?,
            Request::UnregisterService(name) => self.unregister_service(&name)?,
            Request::AddPeer { peer, hints } => Answer::Peer(self.add_peer(&peer, hints)?),
            Request::IssueUrl { object, oid, terms } => Answer::Url(self.issue_url(object, &oid, terms)?),
            Request::Urls => Answer::Urls(self.urls()?),
            Request::RevokeUrl(which) => self.revoke_url(&which)?,
            Request::Redeem { url, me, key, request } => self.redeem(&url, &me, &key, request)?,
            Request::GiveUp(peer) => self.give_up(&peer)?,
            Request::ClosePeer { peer, pending } => self.close_peer(&peer, pending)?,
            Request::ReconnectPeer(peer) => self.reconnect_peer(&peer)?,
            Request::ForgetPeer(peer) => self.forget_peer(&peer)?,
            Request::SetPatience { peer, patience } => self.set_patience(&peer, patience)?,
            Request::Renew(incarnation) => self.renew(incarnation)?,
            Request::Peers => Answer::Peers(self.peers()?),
            Request::Reap(vats) => self.reap(vats)?,
            Request::Status => Answer::Status(Box::new(self.status()?)),
            Request::Reset => self.reset()?,
        };
        self.emit(Effect::Answer { ticket, answer: Ok(answer) });
        Ok(())
    }

    fn leave_ticket(&mut self, vat: VatId, ticket: Ticket) -> Result<(), Blame> {
        if self.get::<Tickets>(&TicketFor::Start(vat))?.is_some() {
            return Err(Refused::Overtaken(format!("{vat} is being restarted already")).into());
        }
        self.put::<Tickets>(&TicketFor::Start(vat), &ticket.0);
        Ok(())
    }

    fn terminate_on_request(&mut self, vat: VatId, reason: &str) -> Result<Answer, Blame> {
        if !self.turn.has::<VatCursors>(&vat)? {
            return Err(crate::vats::no_such_vat(vat));
        }
        let error = KernelError::new(Code::VatTerminated, format!("{vat} was terminated: {reason}"));
        self.terminate_vat(vat, &error.to_capdata(), &error)?;
        Ok(Answer::Done)
    }

    fn revoke(&mut self, kref: KRef) -> Result<Answer, Blame> {
        let id = self.known_object(kref)?;
        let mut object = self.need::<Objects>(&id)?;
        object.revoked = true;
        self.put::<Objects>(&id, &object);
        Ok(Answer::Done)
    }

    /// The pin that a root has while its vat lives, and a service while it is registered, is not the host's.
    fn unpin_for_host(&mut self, kref: KRef) -> Result<Answer, Blame> {
        let id = self.known_object(kref)?;
        let object = self.need::<Objects>(&id)?;
        let own = match object.owner {
            Owner::Vat(vat) => u32::from(self.root_of(vat)? == Some(id)),
            Owner::Kernel => 1,
            Owner::Remote(_) | Owner::Orphan => 0,
        };
        if object.pins > own {
            self.unpin(id)?;
        }
        Ok(Answer::Done)
    }

    fn reap(&mut self, vats: Vec<VatId>) -> Result<Answer, Blame> {
        let vats = if vats.is_empty() {
            self.scan::<VatCursors>(&())?.into_iter().map(|(vat, _)| vat).collect()
        } else {
            vats
        };
        for &vat in &vats {
            if !self.turn.has::<VatCursors>(&vat)? {
                return Err(crate::vats::no_such_vat(vat));
            }
        }
        for vat in vats {
            self.schedule_reap(vat)?;
        }
        Ok(Answer::Done)
    }

    fn reset(&mut self) -> Result<Answer, Blame> {
        let ids: Vec<SubclusterId> = self.scan::<Subclusters>(&())?.into_iter().map(|(id, _)| id).collect();
        for id in ids.into_iter().rev() {
            self.terminate_subcluster(id, "the kernel was reset")?;
        }
        let calls: Vec<_> = self.scan::<sturdy_store::Calls>(&())?.into_iter().map(|(call, _)| call).collect();
        for call in calls {
            self.forget_call(call)?;
        }
        self.revoke_all_urls()?;
        Ok(Answer::Done)
    }

    /// Nobody needs anything: vats that worked since their last reap are asked for garbage, old answers go.
    fn idle(&mut self) -> Result<(), Fault> {
        for (vat, cursor) in self.scan::<VatCursors>(&())? {
            if cursor.deliveries_since_reap > 0 && !cursor.failed {
                self.schedule_reap(vat)?;
            }
        }
        self.expire_urls()?;
        self.expire_losses()?;
        self.expire_answers()
    }
}
