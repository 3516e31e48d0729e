//! Hand-made sights, for the tests of checkers.

use crate::actor::MessageName;
use crate::machine::peer;
use crate::seen::{BeginsWith, CrankFate, KernelNo, Process, Seen};
use sturdy_kernel::{Effect, Event};
use sturdy_remote::Side;
use sturdy_store::{MemoryEngine, Store, VatRecord, VatStatus};
use sturdy_types::{
    CapData, CodeSpec, ConnectionId, Delivery, Incarnation, Message, Outcome, Resolution, RunId, RuntimeKind,
    SubclusterId, Syscall, VRef, VatConfig, VatId,
};

pub fn incarnation(number: u8) -> Incarnation {
    Incarnation([number; 16])
}

pub fn begun(with: BeginsWith, branch: u32, number: u8) -> Seen {
    Seen::Begun { with, process: Process { branch, boot: 1 }, incarnation: incarnation(number), back_to: 0 }
}

pub fn connected(line: u64, to: KernelNo, side: Side) -> Seen {
    Seen::Event(Event::Connected { connection: ConnectionId(line), peer: peer(to), side })
}

pub fn transmit(line: u64, frame: &str) -> Seen {
    Seen::Outer(Effect::Transmit { connection: ConnectionId(line), bytes: frame.as_bytes().to_vec() })
}

pub fn received(line: u64, frame: &str) -> Seen {
    Seen::Event(Event::Received { connection: ConnectionId(line), frame: frame.as_bytes().to_vec() })
}

/// A greeting of an incarnation that stands here.
pub fn hello(method: &str, number: u8, conversation: u64, next_send: u64, highest_received: u64) -> String {
    format!(
        "{{\"method\":\"{method}\",\"params\":{{\"incarnationId\":\"{}\",\"sturdy\":{{\"version\":1,\"conversation\":\
         {conversation},\"saw\":null,\"firstPending\":1,\"nextSend\":{next_send},\"highestReceived\":{highest_received}}}}}}}",
        incarnation(number)
    )
}

/// The name of a message of the first heap of a vat.
pub fn name(kernel: u32, vat: u32, number: u64) -> MessageName {
    MessageName { kernel, boot: 1, vat, run: 1, number }
}

pub fn message(name: MessageName, slots: &[VRef], result: Option<VRef>) -> Message<VRef> {
    Message { methargs: CapData { body: name.as_body(), slots: slots.to_vec() }, result }
}

pub fn send(target: VRef, name: MessageName, slots: &[VRef], result: Option<VRef>) -> Syscall {
    Syscall::Send { target, message: message(name, slots, result) }
}

pub fn deliver(target: VRef, name: MessageName, slots: &[VRef], result: Option<VRef>) -> Delivery {
    Delivery::Message { target, message: message(name, slots, result) }
}

pub fn settled(promise: VRef, rejected: bool, body: &str, slots: &[VRef]) -> Resolution<VRef> {
    Resolution { promise, rejected, value: CapData { body: body.into(), slots: slots.to_vec() } }
}

/// A crank of the first heap of a vat.
pub fn crank(vat: u32, delivery: Delivery, outcome: Outcome, fate: CrankFate) -> Seen {
    Seen::Crank { vat: VatId(vat), run: RunId(1), delivery, outcome, fate }
}

/// A merged crank in which a vat says something, whatever it was told.
pub fn says(vat: u32, syscalls: Vec<Syscall>) -> Seen {
    crank(vat, Delivery::BringOutYourDead, Outcome::done(syscalls), CrankFate::Merged)
}

/// A merged crank in which a vat is told something and says nothing.
pub fn told(vat: u32, delivery: Delivery) -> Seen {
    crank(vat, delivery, Outcome::default(), CrankFate::Merged)
}

pub fn empty_store(number: u8) -> Store {
    Store::open(Box::new(MemoryEngine::new()), incarnation(number)).expect("an empty engine becomes a store")
}

/// A vat that runs.
pub fn vat() -> VatRecord {
    VatRecord {
        subcluster: SubclusterId(1),
        name: "actor0".into(),
        config: VatConfig {
            code: CodeSpec { runtime: RuntimeKind::Native, entry: "actor".into(), modules: Vec::new() },
            parameters: "#{}".into(),
            globals: Vec::new(),
        },
        status: VatStatus::Running,
        started_once: true,
    }
}
