//! References by text (L14) between kernels: our redemptions and the peers'. It is the kernel's matter, not the link's:
//! it knows references. What was issued here is in `urls`.
//!
//! What always holds: the URL of another kernel stands only in the outbox, until that kernel has it; a redemption is a
//! row until it is answered, under a random key, so no late or repeated answer can be taken for another's (W-8).

use super::receiving::Offence;
use super::validate::Speaker;
use crate::blame::{Blame, Fault, Refused};
use crate::control::Answer;
use crate::ctx::Ctx;
use sturdy_remote::{Body, RedeemReply};
use sturdy_store::{
    CallRecord, CallRequests, CallState, Calls, Decider, Read, Redeemer, RedemptionRecord, Redemptions, Remotes,
    Subscriber,
};
use sturdy_types::defect::{self, Defect};
use sturdy_types::{CallId, CapData, Code, KRef, KernelError, OcapUrl, Oid, PromiseId, RRef, RemoteId, json_string};

/// The most bytes of a reply key, as in `sturdy-remote`, which refuses longer ones of a peer.
const MAX_KEY_BYTES: usize = 256;

/// The most addresses that are kept of one peer.
const MAX_HINTS: usize = 16;

/// What a peer hears that shows something under which nothing is, whatever the reason: it is none of its business.
const NOTHING: &str = "there is nothing under this OCAP URL";

impl Ctx<'_, '_> {
    /// A host redeems a URL. The answer settles a call, like any other.
    pub(crate) fn redeem(
        &mut self,
        url: &OcapUrl,
        me: &str,
        key: &str,
        request: Option<String>,
    ) -> Result<Answer, Blame> {
        if let Some(name) = &request
            && let Some(call) = self.get::<CallRequests>(name)?
        {
            return Ok(self.called_before(call)?);
        }
        let call = self.next_id(|counters| {
            counters.calls += 1;
            CallId(counters.calls)
        })?;
        let promise = self.new_promise(Decider::Kernel)?;
        if let Some(name) = &request {
            self.put::<CallRequests>(name, &call);
        }
        let record = CallRecord { request, target: promise.into(), state: CallState::Waiting(promise) };
        self.put::<Calls>(&call, &record);
        self.subscribe(promise, Subscriber::Call(call))?;
        self.begin_redemption(url, me, key, promise)?;
        Ok(Answer::Called(call))
    }

    /// Begins a redemption that settles `promise`, which the kernel decides. One of our own URLs settles it at once.
    pub(crate) fn begin_redemption(
        &mut self,
        url: &OcapUrl,
        me: &str,
        key: &str,
        promise: PromiseId,
    ) -> Result<(), Blame> {
        if key.len() > MAX_KEY_BYTES {
            return Err(Refused::TooLarge { size: key.len(), unit: "bytes of key", limit: MAX_KEY_BYTES }.into());
        }
        if url.peer == me {
            let (rejected, value) = match self.stands_for(&url.oid, Some(Redeemer::Here), key)? {
                Some(object) => (false, granted(object.into())),
                None => (true, error(NOTHING)),
            };
            self.settle(promise, rejected, value)?;
            self.drain()?;
            if !rejected {
                self.url_redeemed(&url.oid, Redeemer::Here, key)?;
            }
            return Ok(());
        }
        let remote = self.add_peer(&url.peer, Vec::new())?;
        let row = (remote, key.to_owned());
        if self.turn.has::<Redemptions>(&row)? {
            return Err(Refused::NameTaken("this redemption key".into()).into());
        }
        if let Some(error) = self.not_open(remote, 1)? {
            self.settle(promise, true, error.to_capdata())?;
            return Ok(());
        }
        self.put::<Redemptions>(&row, &RedemptionRecord { promise, hints: url.hints.clone() });
        // The issuer needs no addresses of its own.
        self.append(remote, Body::RedeemUrl { url: url.without_hints().reveal(), key: row.1 })?;
        Ok(())
    }

    /// A peer shows a URL.
    pub(crate) fn answer_redemption(
        &mut self,
        remote: RemoteId,
        url: &str,
        key: String,
    ) -> Result<Result<(), Offence>, Fault> {
        let by = Redeemer::Remote(remote);
        let reply = match self.shown(url, Some(by), &key)? {
            Ok((oid, object)) => {
                let cursor = self.remote_cursor(remote)?;
                if self.name_of(remote, object)?.is_none() && !self.may_name(&cursor, 1) {
                    RedeemReply::Refused("there is no room for another reference in the conversation".into())
                } else {
                    let rref = self.kernel_to_remote(remote, object, cursor.next_send)?;
                    self.url_redeemed(&oid, by, &key)?;
                    RedeemReply::Granted(super::names::flipped(rref))
                }
            }
            Err(why) => RedeemReply::Refused(why),
        };
        self.append(remote, Body::RedeemUrlReply { key, reply })?;
        Ok(Ok(()))
    }

    /// What a peer gets for a URL, or why nothing.
    pub(crate) fn shown(
        &self,
        url: &str,
        by: Option<Redeemer>,
        key: &str,
    ) -> Result<Result<(Oid, KRef), String>, Fault> {
        let oid = match OcapUrl::parse(url) {
            Ok(url) => url.oid,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let object = self.stands_for(&oid, by, key)?;
        Ok(object.map(|object| (oid, object.into())).ok_or_else(|| NOTHING.to_owned()))
    }

    /// The answer to our redemption. One that nobody waits for is ignored; what it names is let go again.
    pub(crate) fn redeemed(
        &mut self,
        remote: RemoteId,
        key: &str,
        reply: RedeemReply,
    ) -> Result<Result<(), Offence>, Fault> {
        let answer = self.granted_by(remote, reply)?;
        let row = (remote, key.to_owned());
        let Some(RedemptionRecord { promise, hints }) = self.get::<Redemptions>(&row)? else {
            if defect::broken(Defect::UnknownReplyStops) {
                return Err(crate::blame::broken("nobody waits for a reply"));
            }
            return Ok(answer.map(|_| ()));
        };
        self.delete::<Redemptions>(&row);
        match answer {
            Ok(Ok(kref)) => {
                self.confirm_hints(remote, hints)?;
                self.settle(promise, false, granted(kref))?;
            }
            Ok(Err(reason)) => self.settle(promise, true, reason)?,
            // The answer is consumed, and there will be no other.
            Err(offence) => {
                self.reject(promise, Code::DeliveryFailed, format!("the peer's answer was refused: {}", offence.why))?;
                return Ok(Err(offence));
            }
        }
        Ok(Ok(()))
    }

    /// What an answer grants, or the reason why that is nothing, or why it is no answer.
    fn granted_by(
        &mut self,
        remote: RemoteId,
        reply: RedeemReply,
    ) -> Result<Result<Result<KRef, CapData<KRef>>, Offence>, Fault> {
        Ok(match reply {
            RedeemReply::Granted(rref @ (RRef::Export(_) | RRef::Import(_))) => {
                let cursor = self.remote_cursor(remote)?;
                match self.check_slots(Speaker { remote, cursor: &cursor }, &[rref])? {
                    Err(why) => Err(super::receiving::offence(why)),
                    Ok(()) => Ok(self.has_been_granted(remote, rref)?),
                }
            }
            RedeemReply::Granted(rref) => Err(super::receiving::offence(format!("{rref} is no object to be redeemed"))),
            RedeemReply::Refused(why) => Ok(Err(error(&why))),
        })
    }

    /// What a peer has granted us, or the reason why it is nothing.
    fn has_been_granted(&mut self, remote: RemoteId, rref: RRef) -> Result<Result<KRef, CapData<KRef>>, Fault> {
        if let RRef::Import(_) = rref {
            // One of our own objects comes back to us.
            let kref = self.named(remote, rref)?;
            return Ok(match kref {
                Some(kref) if self.still_has(remote, kref)? => Ok(kref),
                _ => {
                    Err(KernelError::new(Code::ObjectDeleted, "what the OCAP URL stands for was let go of")
                        .to_capdata())
                }
            });
        }
        Ok(Ok(self.remote_to_kernel(remote, rref)?))
    }

    /// The redemption has succeeded, so what its URL said of the peer is worth keeping (W-18).
    fn confirm_hints(&mut self, remote: RemoteId, hints: Vec<String>) -> Result<(), Fault> {
        let mut record = self.need::<Remotes>(&remote)?;
        let before = record.hints.len();
        for hint in hints {
            if record.hints.len() < MAX_HINTS && !record.hints.contains(&hint) {
                record.hints.push(hint);
            }
        }
        if record.hints.len() > before {
            self.put::<Remotes>(&remote, &record);
        }
        Ok(())
    }

    /// No answer will come.
    pub(crate) fn reject_redemptions(&mut self, remote: RemoteId, code: Code, why: &str) -> Result<(), Fault> {
        for (row, record) in self.scan::<Redemptions>(&remote)? {
            self.delete::<Redemptions>(&row);
            self.settle(record.promise, true, KernelError::new(code, why).to_capdata())?;
        }
        Ok(())
    }
}

/// The value of a redemption that succeeded.
fn granted(kref: KRef) -> CapData<KRef> {
    CapData { body: "#\"$0.Alleged: redeemed\"".into(), slots: vec![kref] }
}

/// The reason of one that did not.
fn error(why: &str) -> CapData<KRef> {
    CapData::plain(format!("#{{\"#error\":{},\"name\":\"Error\"}}", json_string(why)))
}
