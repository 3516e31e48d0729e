//! References by text (L14): the kernel's side of it, not the link's. What a text looks like and who may see it is the
//! business of whoever issues it.

use super::receiving::Offence;
use super::validate::Speaker;
use crate::blame::{Blame, Fault, Refused};
use crate::control::Answer;
use crate::ctx::Ctx;
use sturdy_remote::{Body, RedeemReply};
use sturdy_store::{CallRecord, CallState, Calls, Decider, IssuedUrls, Read, Redemptions, Subscriber};
use sturdy_types::{CallId, CapData, Code, KRef, KernelError, RRef, RemoteId, json_string};

impl Ctx<'_, '_> {
    /// From now on a peer that shows this text gets the object. The text keeps it alive.
    pub(crate) fn issue_url(&mut self, kref: KRef, url: String) -> Result<Answer, Blame> {
        let id = self.known_object(kref)?;
        if self.turn.has::<IssuedUrls>(&url)? {
            return Err(Refused::NameTaken(url).into());
        }
        self.hold(kref)?;
        self.put::<IssuedUrls>(&url, &id);
        Ok(Answer::Done)
    }

    /// Nobody gets anything for this text any more.
    pub(crate) fn withdraw_url(&mut self, url: &String) -> Result<Answer, Blame> {
        if let Some(id) = self.get::<IssuedUrls>(url)? {
            self.delete::<IssuedUrls>(url);
            self.release(id.into())?;
        }
        Ok(Answer::Done)
    }

    /// Asks a peer for what it issued under a text. The answer settles a call, like any other.
    pub(crate) fn redeem(&mut self, peer: &str, url: String, key: String) -> Result<Answer, Blame> {
        let remote = self.known_peer(peer)?;
        if self.turn.has::<Redemptions>(&(remote, key.clone()))? {
            return Err(Refused::NameTaken(key).into());
        }
        let (size, limit) = (url.len() + key.len(), 4_096);
        if size > limit {
            return Err(Refused::TooLarge { size, unit: "bytes of text", limit }.into());
        }
        let call = self.next_id(|counters| {
            counters.calls += 1;
            CallId(counters.calls)
        })?;
        let promise = self.new_promise(Decider::Kernel)?;
        let record = CallRecord { request: None, target: promise.into(), state: CallState::Waiting(promise) };
        self.put::<Calls>(&call, &record);
        self.subscribe(promise, Subscriber::Call(call))?;
        if let Some(error) = self.not_open(remote, 1)? {
            self.settle(promise, true, error.to_capdata())?;
        } else {
            self.put::<Redemptions>(&(remote, key.clone()), &promise);
            self.append(remote, Body::RedeemUrl { url, key })?;
        }
        Ok(Answer::Called(call))
    }

    /// The peer shows a text.
    pub(crate) fn answer_redemption(
        &mut self,
        remote: RemoteId,
        url: &String,
        key: String,
    ) -> Result<Result<(), Offence>, Fault> {
        let reply = match self.get::<IssuedUrls>(url)? {
            Some(_) if !self.may_name(&self.remote_cursor(remote)?, 1) => {
                RedeemReply::Refused("there is no room for another reference in the conversation".into())
            }
            Some(id) => {
                let seq = self.remote_cursor(remote)?.next_send;
                RedeemReply::Granted(super::names::flipped(self.kernel_to_remote(remote, id.into(), seq)?))
            }
            None => RedeemReply::Refused("there is nothing under this URL".into()),
        };
        self.append(remote, Body::RedeemUrlReply { key, reply })?;
        Ok(Ok(()))
    }

    /// The answer to our redemption. One that nobody waits for is ignored; what it names is let go again.
    pub(crate) fn redeemed(
        &mut self,
        remote: RemoteId,
        key: &str,
        reply: RedeemReply,
    ) -> Result<Result<(), Offence>, Fault> {
        let granted = match reply {
            RedeemReply::Granted(rref @ (RRef::Export(_) | RRef::Import(_))) => {
                let cursor = self.remote_cursor(remote)?;
                if let Err(why) = self.check_slots(Speaker { remote, cursor: &cursor }, &[rref])? {
                    return Ok(Err(super::receiving::offence(why)));
                }
                Ok(self.remote_to_kernel(remote, rref)?)
            }
            RedeemReply::Granted(rref) => {
                return Ok(Err(super::receiving::offence(format!("{rref} is no object to be redeemed"))));
            }
            RedeemReply::Refused(why) => Err(why),
        };
        let row = (remote, key.to_owned());
        if let Some(promise) = self.get::<Redemptions>(&row)? {
            self.delete::<Redemptions>(&row);
            let (rejected, value) = match granted {
                Ok(kref) => (false, CapData { body: "#\"$0.Alleged: redeemed\"".into(), slots: vec![kref] }),
                Err(why) => (true, CapData::plain(format!("#{{\"#error\":{},\"name\":\"Error\"}}", json_string(&why)))),
            };
            self.settle(promise, rejected, value)?;
        }
        Ok(Ok(()))
    }

    /// No answer will come.
    pub(crate) fn reject_redemptions(&mut self, remote: RemoteId, code: Code, why: &str) -> Result<(), Fault> {
        for (row, promise) in self.scan::<Redemptions>(&remote)? {
            self.delete::<Redemptions>(&row);
            self.settle(promise, true, KernelError::new(code, why).to_capdata())?;
        }
        Ok(())
    }
}
