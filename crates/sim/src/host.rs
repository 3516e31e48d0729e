//! The host of one kernel: the person or program that launches vats, calls objects and passes references around.
//!
//! What always holds: a host uses only references that it was given. It outlives the processes of its kernel; what it
//! knows of a process that is gone it forgets, except calls that bear a name.

use crate::actor::MessageName;
use crate::dice::Dice;
use crate::seen::KernelNo;
use crate::speech;
use std::collections::BTreeMap;
use sturdy_kernel::{
    Answer, Event, LaunchRequest, Refused, Request, Ticket, URL_ISSUER, URL_REDEEMER, UrlHost, UrlTerms, WhichUrl,
};
use sturdy_types::{
    CallId, CapData, ClusterConfig, CodeSpec, KRef, OcapUrl, Oid, RuntimeKind, ServiceCallId, SubclusterId, VatConfig,
    VatId,
};

/// What a ticket was for.
#[derive(Clone, Debug)]
enum Asked {
    Status,
    Call(Option<String>),
    Acknowledge(String),
    Issue(OcapUrl),
    Other,
}

/// A call that bears a name, until it is acknowledged.
#[derive(Clone, Debug)]
struct Named {
    request: Request,
    /// The commit with which it was answered.
    answered: Option<u64>,
    /// It is over, as soon as the kernel has heard that the answer was seen.
    over: Option<CallId>,
}

/// A text for which a peer gives an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The kernel that issued it.
    pub issuer: KernelNo,
    /// What is shown.
    pub shown: OcapUrl,
}

/// One host.
#[derive(Default)]
pub struct Host {
    number: KernelNo,
    seed: u64,
    tickets: u64,
    names: u64,
    asked: BTreeMap<Ticket, Asked>,
    named: BTreeMap<String, Named>,
    /// Calls that are not acknowledged, and the name of their request.
    calls: BTreeMap<CallId, Option<String>>,
    roots: Vec<KRef>,
    /// Vats, as the last status said.
    pub vats: Vec<VatId>,
    /// Subclusters, as the last status said.
    pub subclusters: Vec<SubclusterId>,
    /// Services for everybody, as the last status said, or as they are provided from the beginning.
    pub services: Vec<String>,
    /// References in results, and whose.
    given: Vec<(KRef, CallId)>,
    issued: Vec<Oid>,
    /// Objects that it has ever pinned, and not unpinned since: perhaps in a process that forgot it.
    pinned: Vec<KRef>,
    /// Objects that it has unpinned: perhaps in a process that ended before that was durable.
    unpinned: Vec<KRef>,
    /// Calls of its services that it has not answered, with the service's name.
    service_calls: Vec<(ServiceCallId, String)>,
}

impl Host {
    /// A host that knows nothing yet.
    pub fn new(number: KernelNo, seed: u64) -> Self {
        Self { number, seed, ..Self::default() }
    }

    /// Keeps an object.
    pub fn pin(&mut self, object: KRef) -> Request {
        self.pinned.push(object);
        Request::Pin(object)
    }

    /// Somebody calls a service.
    pub fn service_called(&mut self, call: ServiceCallId, service: String) {
        self.service_calls.push((call, service));
    }

    /// True when somebody waits for an answer of a service.
    pub fn is_called(&self) -> bool {
        !self.service_calls.is_empty()
    }

    /// Answers some call of a service.
    pub fn serve(&mut self, dice: &mut Dice, peer: String, boot: u32) -> Option<Event> {
        if self.service_calls.is_empty() {
            return None;
        }
        let (call, service) = self.service_calls.swap_remove(dice.below(self.service_calls.len()));
        if service == URL_ISSUER || service == URL_REDEEMER {
            let oid = self.new_oid(boot);
            let hints = if dice.once_in(2) { vec!["/memory/1".to_owned()] } else { Vec::new() };
            return Some(Event::UrlServiceServed { call, host: UrlHost { peer, hints, oid } });
        }
        let known = self.known();
        let slots: Vec<KRef> = (0..dice.below(3)).filter_map(|_| dice.pick(&known)).collect();
        let promises: Vec<bool> = slots.iter().map(|slot| matches!(slot, KRef::Promise(_))).collect();
        let value = CapData { body: speech::body(dice, &promises), slots };
        Some(Event::ServiceAnswered { call, rejected: dice.once_in(4), value })
    }

    /// Undoes every pin that may be left. What is pinned no more is refused.
    pub fn unpin_all(&mut self) -> Vec<Request> {
        self.unpinned.append(&mut self.pinned);
        self.unpinned.drain(..).map(Request::Unpin).collect()
    }

    /// Undoes the last pin, if there is one.
    pub fn unpin(&mut self) -> Option<Request> {
        let object = self.pinned.pop()?;
        self.unpinned.push(object);
        Some(Request::Unpin(object))
    }

    fn ticket(&mut self, asked: Asked) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.insert(ticket, asked);
        ticket
    }

    /// Launches vats, which get all services that are there for everybody.
    pub fn launch(&mut self, vats: usize) -> (Ticket, Request) {
        let names: Vec<String> = (0..vats).map(|number| format!("actor{number}")).collect();
        let config = ClusterConfig {
            bootstrap: names[0].clone(),
            vats: names.into_iter().map(|name| (name, actor())).collect(),
            services: self.services.clone(),
        };
        let launch = LaunchRequest { config, sources: Vec::new(), system_name: None, label: None };
        (self.ticket(Asked::Other), Request::Launch(Box::new(launch)))
    }

    /// Asks what is running.
    pub fn ask_status(&mut self) -> (Ticket, Request) {
        (self.ticket(Asked::Status), Request::Status)
    }

    /// Asks for anything whose answer does not matter.
    pub fn order(&mut self, request: Request) -> (Ticket, Request) {
        (self.ticket(Asked::Other), request)
    }

    /// Calls an object that it knows with others that it knows.
    pub fn call(&mut self, dice: &mut Dice, boot: u32) -> Option<(Ticket, Request)> {
        let known = self.known();
        let target = dice.pick(&known)?;
        let slots: Vec<KRef> = (0..dice.below(3)).filter_map(|_| dice.pick(&known)).collect();
        self.names += 1;
        let kernel = u32::try_from(self.number).expect("a world has few kernels");
        let name = MessageName { kernel, boot, vat: 0, run: 0, number: self.names };
        let request = dice.once_in(2).then(|| name.to_string());
        // Half of the calls are typed by a person. Dice of their own: what is typed changes nothing else.
        let mut typing = Dice::new(self.seed, name.number_of_stream() ^ (self.names << 32));
        let methargs = if typing.once_in(2) {
            speech::typed(&mut typing, target, name, &slots)
        } else {
            CapData { body: name.as_body(), slots }
        };
        let call = Request::Call { target, methargs, request: request.clone() };
        if let Some(request) = &request {
            self.named.insert(request.clone(), Named { request: call.clone(), answered: None, over: None });
        }
        Some((self.ticket(Asked::Call(request)), call))
    }

    /// Asks again for calls that bear a name, so that they can be acknowledged, and acknowledges again what the kernel may
    /// not have heard.
    pub fn ask_again(&mut self) -> Vec<(Ticket, Request)> {
        let known: Vec<&String> = self.calls.values().flatten().collect();
        let open: Vec<_> = self.named.iter().filter(|(name, _)| !known.contains(name)).collect();
        let open: Vec<_> = open.into_iter().map(|(name, named)| (name.clone(), named.clone())).collect();
        let again = |(name, named): (String, Named)| match named.over {
            Some(call) => (self.ticket(Asked::Acknowledge(name)), Request::Acknowledge(call)),
            None => (self.ticket(Asked::Call(Some(name))), named.request),
        };
        open.into_iter().map(again).collect()
    }

    /// Has seen the answer of some call.
    pub fn acknowledge(&mut self, dice: &mut Dice) -> Option<(Ticket, Request)> {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        let call = dice.pick(&calls)?;
        Some(self.acknowledge_one(call))
    }

    /// Has seen all answers.
    pub fn acknowledge_all(&mut self) -> Vec<(Ticket, Request)> {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        calls.into_iter().map(|call| self.acknowledge_one(call)).collect()
    }

    fn acknowledge_one(&mut self, call: CallId) -> (Ticket, Request) {
        self.given.retain(|(_, of)| *of != call);
        let asked = match self.calls.remove(&call).flatten() {
            Some(name) => {
                // Kept until the kernel has said that it knows: it may forget that it was told.
                if let Some(named) = self.named.get_mut(&name) {
                    named.over = Some(call);
                }
                Asked::Acknowledge(name)
            }
            None => Asked::Other,
        };
        (self.ticket(asked), Request::Acknowledge(call))
    }

    /// Gives an object that it knows to whoever shows a text.
    pub fn issue(&mut self, dice: &mut Dice, peer: String, boot: u32) -> Option<(Ticket, Request)> {
        let objects: Vec<KRef> = self.known().into_iter().filter(|kref| matches!(kref, KRef::Object(_))).collect();
        let object = dice.pick(&objects)?;
        let oid = self.new_oid(boot);
        let shown = OcapUrl { oid: oid.clone(), peer, hints: Vec::new() };
        let terms = UrlTerms::default();
        Some((self.ticket(Asked::Issue(shown)), Request::IssueUrl { object, oid, terms }))
    }

    /// Noted at once: it may be durable although the answer never comes.
    fn new_oid(&mut self, boot: u32) -> Oid {
        self.names += 1;
        let mut bits = [0; 32];
        bits[..8].copy_from_slice(&(self.number as u64).to_be_bytes());
        bits[8..12].copy_from_slice(&boot.to_be_bytes());
        bits[12..20].copy_from_slice(&self.names.to_be_bytes());
        let oid = Oid::from_random(&bits);
        self.issued.push(oid.clone());
        oid
    }

    /// Withdraws some text, or all.
    pub fn withdraw_all(&mut self) -> Vec<(Ticket, Request)> {
        let issued = std::mem::take(&mut self.issued);
        issued.into_iter().map(|oid| (self.ticket(Asked::Other), Request::RevokeUrl(WhichUrl::Oid(oid)))).collect()
    }

    /// Redeems a text of a peer.
    pub fn redeem(&mut self, url: &Url, me: String, boot: u32) -> (Ticket, Request) {
        self.names += 1;
        let key = format!("key-{}-{boot}-{}", self.number, self.names);
        (self.ticket(Asked::Call(None)), Request::Redeem { url: url.shown.clone(), me, key, request: None })
    }

    /// References that it can use.
    pub fn known(&self) -> Vec<KRef> {
        self.roots.iter().copied().chain(self.given.iter().map(|(kref, _)| *kref)).collect()
    }

    /// An answer has come. Returns a text that peers may redeem now.
    pub fn answered(&mut self, ticket: Ticket, answer: &Result<Answer, Refused>, commit: u64) -> Option<Url> {
        match (self.asked.remove(&ticket)?, answer) {
            (Asked::Status, Ok(Answer::Status(status))) => {
                self.roots = status.vats.iter().filter_map(|vat| vat.root.map(KRef::Object)).collect();
                self.vats = status.vats.iter().map(|vat| vat.id).collect();
                let open = status.services.iter().filter(|service| !service.system_only);
                self.services = open.map(|service| service.name.clone()).collect();
                self.subclusters = status.subclusters.iter().map(|subcluster| subcluster.id).collect();
            }
            (Asked::Call(name), Ok(Answer::Called(call))) => {
                if let Some(named) = name.as_ref().and_then(|name| self.named.get_mut(name)) {
                    named.answered = Some(commit);
                }
                self.calls.insert(*call, name);
            }
            (Asked::Other, Ok(Answer::Called(call))) => {
                self.calls.insert(*call, None);
            }
            (Asked::Call(Some(name)), Err(_)) | (Asked::Acknowledge(name), _) => {
                self.named.remove(&name);
            }
            (Asked::Issue(shown), Ok(_)) => {
                return Some(Url { issuer: self.number, shown });
            }
            _ => {}
        }
        None
    }

    /// The result of a call has come.
    pub fn settled(&mut self, call: CallId, value: &CapData<KRef>) {
        speech::looked_at(value);
        if self.calls.contains_key(&call) {
            self.given.extend(value.slots.iter().map(|slot| (*slot, call)));
        }
    }

    /// The process of the kernel is gone; the next one remembers what commit `back_to` has left.
    pub fn process_ended(&mut self, back_to: u64, forgot: bool) {
        self.asked.clear();
        self.service_calls.clear();
        self.calls.clear();
        self.given.clear();
        if forgot {
            self.roots.clear();
            self.vats.clear();
            // What was asked and forgotten is not asked again: it may have taken effect elsewhere.
            self.named.retain(|_, named| named.answered.is_some_and(|commit| commit <= back_to));
        }
    }

    /// Tickets that are not answered.
    pub fn waiting(&self) -> usize {
        self.asked.len()
    }
}

/// The configuration of an actor.
pub fn actor() -> VatConfig {
    VatConfig {
        code: CodeSpec { runtime: RuntimeKind::Native, entry: "actor".into(), modules: Vec::new() },
        parameters: "#{}".into(),
        globals: Vec::new(),
    }
}
