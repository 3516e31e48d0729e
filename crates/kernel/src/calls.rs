//! Calls from the host: a caller's interest in a result is a row, not a waiter in memory (house, "Host callers are
//! endpoints too").

use crate::blame::{Blame, Fault, Refused};
use crate::control::Answer;
use crate::ctx::Ctx;
use crate::event::Effect;
use sturdy_store::{CallRecord, CallRequests, CallState, Calls, Decider, Subscriber};
use sturdy_types::{CallId, CapData, KRef, Message};

impl Ctx<'_, '_> {
    /// Sends a message for a host caller. A target that does not exist rejects the result, like any other message;
    /// an argument that does not exist is refused.
    pub(crate) fn call(
        &mut self,
        target: KRef,
        methargs: CapData<KRef>,
        request: Option<String>,
    ) -> Result<Answer, Blame> {
        if let Some(name) = &request
            && let Some(call) = self.get::<CallRequests>(name)?
        {
            return Ok(self.called_before(call)?);
        }
        check_size(methargs.body.len(), "bytes of body", self.limits.body_bytes)?;
        check_size(methargs.slots.len(), "references", self.limits.body_slots)?;
        for &slot in &methargs.slots {
            if !self.exists(slot)? {
                return Err(Refused::NoSuchReference(slot).into());
            }
        }
        let call = self.next_id(|counters| {
            counters.calls += 1;
            CallId(counters.calls)
        })?;
        let promise = self.new_promise(Decider::Nobody)?;
        if let Some(name) = &request {
            self.put::<CallRequests>(name, &call);
        }
        self.put_new::<Calls>(&call, &CallRecord { request, target, state: CallState::Waiting(promise) });
        self.subscribe(promise, Subscriber::Call(call))?;
        let message = Message { methargs, result: Some(promise.into()) };
        if self.exists(target)? {
            self.send(target, message)?;
        } else {
            self.hold_message(&message)?;
            self.splat(target, &message, &crate::routing::deleted(target))?;
        }
        Ok(Answer::Called(call))
    }

    /// Somebody asks again for a call of the same name.
    pub(crate) fn called_before(&mut self, call: CallId) -> Result<Answer, Fault> {
        if let CallState::Settled { rejected, value, .. } = self.need::<Calls>(&call)?.state {
            self.emit(Effect::Settled { call, rejected, value });
        }
        Ok(Answer::Called(call))
    }

    /// A call has its result: kept until it is acknowledged, told once this turn is durable.
    pub(crate) fn call_settled(&mut self, call: CallId, rejected: bool, value: &CapData<KRef>) -> Result<(), Fault> {
        let mut record = self.need::<Calls>(&call)?;
        let CallState::Waiting(promise) = record.state else {
            return Err(crate::blame::broken(format!("{call} is settled twice")));
        };
        self.hold_slots(value)?;
        record.state = CallState::Settled { rejected, value: value.clone(), at: self.now };
        self.put::<Calls>(&call, &record);
        self.release_promise(promise)?;
        self.emit(Effect::Settled { call, rejected, value: value.clone() });
        Ok(())
    }

    /// The caller has the answer, or gives it up.
    pub(crate) fn acknowledge(&mut self, call: CallId) -> Result<Answer, Blame> {
        if self.get::<Calls>(&call)?.is_none() {
            return Err(Refused::NoSuchCall(call.to_string()).into());
        }
        self.forget_call(call)?;
        Ok(Answer::Done)
    }

    pub(crate) fn forget_call(&mut self, call: CallId) -> Result<(), Fault> {
        let record = self.need::<Calls>(&call)?;
        self.delete::<Calls>(&call);
        if let Some(name) = &record.request {
            self.delete::<CallRequests>(name);
        }
        match record.state {
            CallState::Waiting(promise) => {
                self.unsubscribe(promise, Subscriber::Call(call))?;
                self.release_promise(promise)
            }
            CallState::Settled { value, .. } => self.release_slots(&value),
        }
    }

    /// Lets answers go that nobody fetched within the age limit.
    pub(crate) fn expire_answers(&mut self) -> Result<(), Fault> {
        let now = self.now;
        for (call, mut record) in self.scan::<Calls>(&())? {
            let CallState::Settled { at, .. } = &mut record.state else { continue };
            if record.request.is_none() {
                continue;
            }
            if *at > now {
                // By the clock of an earlier process.
                *at = now;
                self.put::<Calls>(&call, &record);
            } else if now - *at > self.limits.answer_age_ms {
                self.forget_call(call)?;
            }
        }
        Ok(())
    }
}

fn check_size(size: usize, unit: &'static str, limit: usize) -> Result<(), Refused> {
    if size > limit { Err(Refused::TooLarge { size, unit, limit }) } else { Ok(()) }
}
