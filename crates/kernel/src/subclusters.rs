//! Subclusters: launched as a whole or not at all, ended as a whole (kernel-semantics §6.2, defect 13).

use crate::blame::{Blame, Fault, Refused, broken, reason_text};
use crate::control::{Answer, LaunchRequest, Ticket};
use crate::ctx::{Ctx, Later};
use crate::event::{Effect, Notice};
use std::collections::BTreeSet;
use sturdy_smallcaps::{Value, encode};
use sturdy_store::{
    Decider, Services, SubclusterRecord, SubclusterStatus, Subclusters, Subscriber, SystemSubclusters, TicketFor,
    Tickets, VatRecord,
};
use sturdy_types::{CapData, ClusterConfig, Code, KRef, KernelError, Message, ObjectId, SubclusterId, VatId};

impl Ctx<'_, '_> {
    /// Validates and begins a launch. Everything is checked before anything is created.
    pub(crate) fn launch(&mut self, ticket: Ticket, request: LaunchRequest) -> Result<(), Blame> {
        let LaunchRequest { config, sources, system_name, label } = request;
        check_config(&config).map_err(Refused::BadConfig)?;
        self.check_services(&config, system_name.is_some())?;
        if let Some(name) = &system_name
            && self.get::<SystemSubclusters>(name)?.is_some()
        {
            return Err(Refused::NameTaken(name.clone()).into());
        }
        if let Some(label) = &label
            && self.scan::<Subclusters>(&())?.iter().any(|(_, record)| record.label.as_ref() == Some(label))
        {
            return Err(Refused::NameTaken(label.clone()).into());
        }
        let id = self.next_id(|counters| {
            counters.subclusters += 1;
            SubclusterId(counters.subclusters)
        })?;
        let mut vats = Vec::with_capacity(config.vats.len());
        for (name, vat_config) in &config.vats {
            self.keep_sources(&vat_config.code, &sources)?;
            vats.push((name.clone(), self.create_vat(id, name, vat_config)?));
        }
        if let Some(name) = &system_name {
            self.put::<SystemSubclusters>(name, &id);
        }
        let starting = u32::try_from(vats.len()).map_err(|_| Refused::BadConfig("too many vats".into()))?;
        let status = SubclusterStatus::Launching { starting, bootstrap: None };
        self.put::<Subclusters>(&id, &SubclusterRecord { config, system_name, label, vats, status, root: None });
        self.put::<Tickets>(&TicketFor::Launch(id), &ticket.0);
        Ok(())
    }

    /// A system-only service looks exactly like one that does not exist (kernel-semantics §6.2, item 3).
    fn check_services(&self, config: &ClusterConfig, system: bool) -> Result<(), Blame> {
        for name in &config.services {
            match self.get::<Services>(name)? {
                Some(service) if system || !service.system_only => {}
                _ => return Err(Refused::NoSuchService(name.clone()).into()),
            }
        }
        Ok(())
    }

    pub(crate) fn is_launching(&self, id: SubclusterId) -> Result<bool, Fault> {
        let record = self.get::<Subclusters>(&id)?;
        Ok(record.is_some_and(|record| matches!(record.status, SubclusterStatus::Launching { .. })))
    }

    /// One more vat of a launch has started; after the last one `bootstrap` is called.
    pub(crate) fn subcluster_vat_started(&mut self, id: SubclusterId) -> Result<(), Fault> {
        let mut record = self.need::<Subclusters>(&id)?;
        let SubclusterStatus::Launching { starting, bootstrap: None } = &mut record.status else { return Ok(()) };
        *starting = starting.saturating_sub(1);
        if *starting == 0 {
            for (name, vat) in &record.vats {
                if self.root_of(*vat)?.is_none() {
                    self.later.push(Later::LaunchFailed(id, format!("{vat} ({name}) gave up its root object")));
                    return Ok(());
                }
            }
            let promise = self.new_promise(Decider::Nobody)?; // held for as long as the launch waits for it
            let (root, methargs) = self.bootstrap_call(&record)?;
            record.root = Some(root);
            record.status = SubclusterStatus::Launching { starting: 0, bootstrap: Some(promise) };
            self.put::<Subclusters>(&id, &record);
            self.subscribe(promise, Subscriber::Launch(id))?;
            return self.send(root.into(), Message { methargs, result: Some(promise.into()) });
        }
        self.put::<Subclusters>(&id, &record);
        Ok(())
    }

    /// `bootstrap(vats, services)`: all roots by name, all requested services by name.
    fn bootstrap_call(&self, record: &SubclusterRecord) -> Result<(ObjectId, CapData<KRef>), Fault> {
        let mut slots: Vec<KRef> = Vec::new();
        let mut presence = |object: ObjectId, iface: &str| {
            slots.push(object.into());
            Value::Remotable { slot: slots.len() - 1, iface: Some(format!("Alleged: {iface}")) }
        };
        let mut vats = Vec::new();
        let mut bootstrap = None;
        for (name, vat) in &record.vats {
            let root = self.root_of(*vat)?.ok_or_else(|| broken(format!("{vat} has started without a root")))?;
            if *name == record.config.bootstrap {
                bootstrap = Some(root);
            }
            vats.push((name.clone(), presence(root, "vatRoot")));
        }
        let mut services = Vec::new();
        for name in &record.config.services {
            if let Some(service) = self.get::<Services>(name)? {
                services.push((name.clone(), presence(service.object, name)));
            }
        }
        let arguments = Value::Array(vec![Value::record(vats), Value::record(services)]);
        let call = Value::Array(vec![Value::string("bootstrap"), arguments]);
        let root = bootstrap.ok_or_else(|| broken("a launched subcluster has no bootstrap vat"))?;
        Ok((root, encode(&call, slots)))
    }

    /// `bootstrap` has answered.
    pub(crate) fn bootstrap_settled(
        &mut self,
        id: SubclusterId,
        rejected: bool,
        value: &CapData<KRef>,
    ) -> Result<(), Fault> {
        let Some(mut record) = self.get::<Subclusters>(&id)? else { return Ok(()) };
        let SubclusterStatus::Launching { bootstrap: Some(promise), .. } = record.status else { return Ok(()) };
        let undefined = CapData::plain("#\"#undefined\"");
        let (rejected, value) =
            if rejected && needs_no_bootstrap(value) { (false, &undefined) } else { (rejected, value) };
        // A bootstrap fulfilled with an error has failed too (kernel-semantics §6.2, item 7).
        if rejected || value.body.starts_with("#{\"#error\":") {
            self.later.push(Later::LaunchFailed(id, format!("bootstrap failed: {}", reason_text(value))));
            return Ok(());
        }
        let Some(root) = record.root else { return Err(broken(format!("{id} has no root"))) };
        record.status = SubclusterStatus::Running;
        self.put::<Subclusters>(&id, &record);
        self.release_promise(promise)?;
        self.answer_ticket(
            TicketFor::Launch(id),
            Ok(Answer::Launched { subcluster: id, root, bootstrap: value.clone() }),
        )
    }

    /// Takes apart everything that a launch created, and says why.
    pub(crate) fn launch_failed(&mut self, id: SubclusterId, why: &str) -> Result<(), Fault> {
        if !self.is_launching(id)? {
            return Ok(());
        }
        let error = KernelError::new(Code::VatTerminated, format!("the launch of {id} failed: {why}"));
        let before = self.effects.list.len();
        self.dissolve(id, &error)?;
        if self.get::<Tickets>(&TicketFor::Launch(id))?.is_some() {
            // Who asked is told once, by the answer; what never was up needs no obituary.
            let caused = self.effects.list.split_off(before);
            self.effects.list.extend(caused.into_iter().filter(|effect| !is_obituary(effect)));
        }
        self.answer_ticket(TicketFor::Launch(id), Err(Refused::LaunchFailed(why.to_owned())))
    }

    /// Ends a subcluster at somebody's request.
    pub(crate) fn terminate_subcluster(&mut self, id: SubclusterId, why: &str) -> Result<(), Blame> {
        if self.get::<Subclusters>(&id)?.is_none() {
            return Err(Refused::NoSuchSubcluster(id.to_string()).into());
        }
        if self.is_launching(id)? {
            return Ok(self.launch_failed(id, why)?);
        }
        Ok(self.dissolve(id, &KernelError::new(Code::VatTerminated, format!("{id} was terminated: {why}")))?)
    }

    /// Ends the vats of a subcluster in reverse launch order, then its record.
    fn dissolve(&mut self, id: SubclusterId, error: &KernelError) -> Result<(), Fault> {
        let record = self.need::<Subclusters>(&id)?;
        for (_, vat) in record.vats.iter().rev() {
            self.terminate_vat(*vat, &error.to_capdata(), error)?;
        }
        // The last vat to leave has removed the record, unless there never was one.
        if self.get::<Subclusters>(&id)?.is_some() {
            self.remove_subcluster(id)?;
        }
        Ok(())
    }

    /// A vat is ending: it leaves its subcluster, which ends with its last vat (kernel-semantics §9 item 76).
    pub(crate) fn leave_subcluster(&mut self, vat: VatId, record: &VatRecord) -> Result<(), Fault> {
        let id = record.subcluster;
        let mut subcluster = self.need::<Subclusters>(&id)?;
        subcluster.vats.retain(|(_, member)| *member != vat);
        if subcluster.config.bootstrap == record.name {
            subcluster.root = None;
        }
        let (empty, launching) =
            (subcluster.vats.is_empty(), matches!(subcluster.status, SubclusterStatus::Launching { .. }));
        self.put::<Subclusters>(&id, &subcluster);
        if launching {
            self.later
                .push(Later::LaunchFailed(id, format!("{vat} ({}) was terminated during the launch", record.name)));
        } else if empty {
            self.remove_subcluster(id)?;
        }
        Ok(())
    }

    fn remove_subcluster(&mut self, id: SubclusterId) -> Result<(), Fault> {
        let record = self.need::<Subclusters>(&id)?;
        if let SubclusterStatus::Launching { bootstrap: Some(promise), .. } = record.status {
            self.unsubscribe(promise, Subscriber::Launch(id))?;
            self.release_promise(promise)?;
        }
        if let Some(name) = &record.system_name {
            self.delete::<SystemSubclusters>(name);
        }
        self.delete::<Subclusters>(&id);
        self.notice(Notice::SubclusterGone(id));
        Ok(())
    }

    /// Remembers who waits, until [`Ctx::answer_ticket`].
    pub(crate) fn answer_ticket(&mut self, what: TicketFor, answer: Result<Answer, Refused>) -> Result<(), Fault> {
        if let Some(ticket) = self.get::<Tickets>(&what)? {
            self.delete::<Tickets>(&what);
            self.emit(Effect::Answer { ticket: Ticket(ticket), answer });
        }
        Ok(())
    }
}

/// Returns the sentence that is wrong.
fn check_config(config: &ClusterConfig) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for (name, vat) in &config.vats {
        if name.is_empty() {
            return Err("a vat has an empty name".into());
        }
        if !names.insert(name) {
            return Err(format!("two vats are named '{name}'"));
        }
        if !vat.parameters.starts_with('#') {
            return Err(format!("the parameters of vat '{name}' are no smallcaps body"));
        }
    }
    if !names.contains(&config.bootstrap) {
        return Err(format!("the bootstrap vat '{}' is not among the vats of the cluster", config.bootstrap));
    }
    Ok(())
}

/// Whether `bootstrap` was rejected because the root has no such method: an object that needs nothing from its cluster
/// is launched all the same. The text is what every vat-side layer says (kernel-semantics §9 item 23).
fn needs_no_bootstrap(reason: &CapData<KRef>) -> bool {
    matches!(sturdy_smallcaps::decode(reason), Ok(Value::Error { name, message, .. })
        if name == "TypeError" && message.starts_with("target has no method \"bootstrap\""))
}

const fn is_obituary(effect: &Effect) -> bool {
    matches!(effect, Effect::Notice(Notice::VatTerminated { .. } | Notice::SubclusterGone(_)))
}
