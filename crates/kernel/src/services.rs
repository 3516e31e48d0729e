//! Kernel services: objects that the host implements (kernel-semantics §6.7).
//!
//! A call of a service is a row until the host answers; the host is asked only once that row is durable (G2). A call
//! under way when the process ends is rejected at the next start (`VAT_RESTARTED`).

use crate::blame::{Blame, Fault, Refused};
use crate::control::Answer;
use crate::ctx::Ctx;
use crate::event::Effect;
use sturdy_store::{Decider, Objects, Owner, ServiceCallRecord, ServiceCalls, ServiceObjects, ServiceRecord, Services};
use sturdy_types::{CapData, Code, KRef, KernelError, Message, ObjectId, ServiceCallId};

impl Ctx<'_, '_> {
    /// Makes a service known, or finds it again under the same reference.
    pub(crate) fn register_service(&mut self, name: &str, system_only: bool) -> Result<Answer, Blame> {
        let object = if let Some(service) = self.get::<Services>(&name.to_owned())? {
            service.object
        } else {
            let object = self.new_object(Owner::Kernel)?;
            self.pin(object)?;
            self.put::<ServiceObjects>(&object, &name.to_owned());
            object
        };
        self.put::<Services>(&name.to_owned(), &ServiceRecord { object, system_only });
        Ok(Answer::Service(object))
    }

    /// Withdraws a service: calls of it are rejected from now on.
    pub(crate) fn unregister_service(&mut self, name: &str) -> Result<Answer, Blame> {
        if let Some(service) = self.get::<Services>(&name.to_owned())? {
            self.delete::<Services>(&name.to_owned());
            self.delete::<ServiceObjects>(&service.object);
            let mut object = self.need::<Objects>(&service.object)?;
            object.owner = Owner::Orphan;
            self.put::<Objects>(&service.object, &object);
            self.unpin(service.object)?;
            self.maybe_free.insert(service.object.into());
        }
        Ok(Answer::Done)
    }

    /// A message to a service: asks the host. Its slots and result are counted by the row until the answer.
    pub(crate) fn call_service(&mut self, target: ObjectId, message: Message<KRef>) -> Result<(), Fault> {
        let Some(service) = self.get::<ServiceObjects>(&target)? else {
            return self.splat(target.into(), &message, &crate::routing::deleted(target.into()));
        };
        let call = self.next_id(|counters| {
            counters.services += 1;
            ServiceCallId(counters.services)
        })?;
        if let Some(KRef::Promise(result)) = message.result {
            self.set_decider(result, Decider::Kernel)?;
        }
        self.emit(Effect::CallService { call, service, methargs: message.methargs.clone() });
        self.hold(target.into())?;
        self.put::<ServiceCalls>(&call, &ServiceCallRecord { service: target, message });
        Ok(())
    }

    /// The host's answer. One for a call that is not under way (answered before, lost in a restart) is ignored.
    pub(crate) fn service_answered(
        &mut self,
        call: ServiceCallId,
        rejected: bool,
        value: CapData<KRef>,
    ) -> Result<(), Fault> {
        for &slot in &value.slots {
            if !self.exists(slot)? {
                let error = KernelError::new(
                    Code::DeliveryFailed,
                    format!("the service answered with {slot}, which does not exist"),
                );
                return self.end_service_call(call, true, error.to_capdata());
            }
        }
        self.end_service_call(call, rejected, value)
    }

    pub(crate) fn end_service_call(
        &mut self,
        call: ServiceCallId,
        rejected: bool,
        value: CapData<KRef>,
    ) -> Result<(), Fault> {
        let Some(record) = self.get::<ServiceCalls>(&call)? else { return Ok(()) };
        self.delete::<ServiceCalls>(&call);
        if let Some(KRef::Promise(result)) = record.message.result {
            self.settle(result, rejected, value)?;
        }
        self.release_message(&record.message)?;
        self.release(record.service.into())
    }

    /// Whether a host may name it: only what something still reaches. An object that nothing reaches is garbage whose
    /// owner may have been told so already; naming it again could not bring it back.
    pub(crate) fn exists(&self, kref: KRef) -> Result<bool, Fault> {
        Ok(match kref {
            KRef::Object(id) => self.get::<Objects>(&id)?.is_some_and(|object| object.reachable > 0),
            KRef::Promise(id) => self.get::<sturdy_store::Promises>(&id)?.is_some(),
        })
    }

    /// Objects that can be pinned or revoked.
    pub(crate) fn known_object(&self, kref: KRef) -> Result<ObjectId, Blame> {
        match kref {
            KRef::Promise(_) => Err(Refused::NotAnObject(kref).into()),
            KRef::Object(id) if self.exists(kref)? => Ok(id),
            KRef::Object(_) => Err(Refused::NoSuchReference(kref).into()),
        }
    }
}
