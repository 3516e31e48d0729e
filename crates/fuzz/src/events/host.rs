//! What hosts ask, and what their services answer: all requests there are, about things that mostly exist.

use super::{Storm, body, launch, peers, vat_config};
use crate::tape::Tape;
use sturdy_kernel::{Event, OnClose, Request};
use sturdy_store::{Read, ServiceCalls};
use sturdy_types::{
    CallId, CapData, CodeSpec, KRef, ModuleSource, ObjectId, PromiseId, RuntimeKind, ServiceCallId, SourceHash,
    SubclusterId, VatId,
};

/// Texts of issued URLs.
pub(super) const URLS: [&str; 2] = ["ocap:one", "ocap:two"];

pub(super) fn request(storm: &Storm, tape: &mut Tape<'_>) -> Request {
    match tape.below(24) {
        0..=5 => Request::Call {
            target: kref(tape),
            methargs: CapData { body: "#[\"go\",[]]".into(), slots: krefs(tape) },
            request: tape.once_in(3).then(|| format!("name{}", tape.below(4))),
        },
        6 => {
            let vats = ["carol", "dave", "carol"];
            let services = ["service0", "service1"];
            let mut request = launch(&vats[..=tape.below(3)], &services[..tape.below(3)]);
            request.system_name = tape.once_in(3).then(|| format!("system{}", tape.below(2)));
            Request::Launch(Box::new(request))
        }
        7 if tape.once_in(3) => Request::TerminateSubcluster(SubclusterId(1 + u32::from(tape.byte() % 3))),
        7 => Request::TerminateVat { vat: vat(storm, tape), reason: "the tape says so".into() },
        8 => Request::RestartVat(vat(storm, tape)),
        9 => reload(storm, tape),
        10 => Request::Acknowledge(CallId(1 + tape.number(8))),
        11 => Request::Revoke(kref(tape)),
        12 if tape.once_in(2) => Request::IsRevoked(kref(tape)),
        12 => Request::Pin(kref(tape)),
        13 => Request::Unpin(kref(tape)),
        14 => Request::RegisterService { name: service(tape), system_only: tape.once_in(2) },
        15 => Request::UnregisterService(service(tape)),
        16 => Request::AddPeer { peer: peers::name(tape), hints: vec!["elsewhere".into(); tape.below(3)] },
        17 => Request::IssueUrl { object: kref(tape), url: url(tape) },
        18 => Request::Redeem { peer: peers::name(tape), url: url(tape), key: format!("k{}", storm.tickets) },
        19 => match tape.below(4) {
            0 => Request::WithdrawUrl(url(tape)),
            1 => Request::GiveUp(peers::name(tape)),
            2 => Request::ReconnectPeer(peers::name(tape)),
            _ => Request::ForgetPeer(peers::name(tape)),
        },
        20 => {
            let pending = if tape.once_in(2) { OnClose::Keep } else { OnClose::Discard };
            Request::ClosePeer { peer: peers::name(tape), pending }
        }
        21 => Request::Reap((0..tape.below(3)).map(|_| vat(storm, tape)).collect()),
        22 if tape.once_in(8) => Request::Reset,
        22 => Request::Status,
        _ => Request::Peers,
    }
}

/// New code of one module. Every third time its source is left out, though perhaps it is known already.
fn reload(storm: &Storm, tape: &mut Tape<'_>) -> Request {
    let vat = vat(storm, tape);
    let mut config = vat_config();
    let hash = SourceHash([u8::try_from(storm.tickets % 2).unwrap_or_default(); 32]);
    config.code = CodeSpec { runtime: RuntimeKind::JavaScript, modules: vec![("fuzz".into(), hash)], ..config.code };
    let source = ModuleSource { hash, text: "export {};".into() };
    let sources = if storm.tickets.is_multiple_of(3) { Vec::new() } else { vec![source] };
    Request::ReloadVat { vat, config: Box::new(config), sources }
}

/// The host answers a call of a service: one that waits, or one that may never have been made.
pub(super) fn service_answer(storm: &Storm, tape: &mut Tape<'_>) -> Event {
    let waiting = storm.node.store().scan::<ServiceCalls>(&(), None, 8).expect("memory is readable");
    let any = ServiceCallId(tape.number(6));
    let at = tape.below(waiting.len() + 1);
    let call = waiting.get(at).map_or(any, |(call, ..)| *call);
    let slots = krefs(tape);
    let lone_promise = matches!(slots.first(), Some(KRef::Promise(_)));
    Event::ServiceAnswered { call, rejected: tape.once_in(4), value: body(slots, lone_promise) }
}

pub(super) fn vat(_: &Storm, tape: &mut Tape<'_>) -> VatId {
    VatId(1 + u32::from(tape.byte() % 6))
}

/// Numbers are given out from 1, so small ones mostly mean something.
fn kref(tape: &mut Tape<'_>) -> KRef {
    let byte = tape.byte();
    let number = u64::from(byte >> 2) % 24 + 1;
    if byte & 3 == 3 { PromiseId(number).into() } else { ObjectId(number).into() }
}

fn krefs(tape: &mut Tape<'_>) -> Vec<KRef> {
    (0..[0, 0, 1, 1, 2, 3, 6][tape.below(7)]).map(|_| kref(tape)).collect()
}

fn service(tape: &mut Tape<'_>) -> String {
    format!("service{}", tape.below(2))
}

fn url(tape: &mut Tape<'_>) -> String {
    URLS[tape.below(URLS.len())].into()
}
