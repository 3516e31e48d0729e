//! The kernel decides: objects, promises, c-lists, queues, cranks, garbage collection, subclusters, services, calls.
//!
//! What always holds: every function works on one open turn (`Ctx`) and changes nothing else; reference counts change
//! only in `counts`; references cross between kernel and vat space only in `translate`; nothing here reads a clock,
//! awaits, or knows what a vat is made of. Running turns, batching and releasing effects is the business of
//! `sturdy-node`; storing is that of `sturdy-store`.

mod apply;
mod audit;
mod blame;
mod boot;
mod calls;
mod control;
mod counts;
mod crank;
mod ctx;
mod event;
mod finish;
mod gc;
mod heap;
mod promises;
mod remotes;
mod routing;
mod services;
mod status;
mod subclusters;
mod syscalls;
mod translate;
mod vats;

pub use apply::{answer_for, apply, tidy_up};
pub use audit::{AuditReport, audit};
pub use blame::{Blame, Fault, Refused, VatFault};
pub use control::{
    Answer, LaunchRequest, OnClose, Patience, PeerInfo, Request, ServiceInfo, Status, SubclusterInfo, Ticket, VatInfo,
    VatPhase,
};
pub use crank::{Begun, Crossings, Plan, PlannedItem, StartOf, begin};
pub use ctx::Ctx;
pub use event::{DeathNote, Effect, Effects, Event, Notice};
pub use remotes::{
    Before, Greeting, Heard, LinkNews, Presence, dial_failed, greet, hear, hear_ack, hello, room_for_calls, skip_gap,
    standing_with,
};
