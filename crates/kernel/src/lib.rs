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
mod rings;
mod routing;
mod services;
mod status;
mod subclusters;
mod syscalls;
mod translate;
mod url_services;
mod urls;
mod vats;

pub use apply::{answer_for, apply, tidy_up};
pub use audit::{AuditReport, audit};
pub use blame::{Blame, Fault, Refused, VatFault};
pub use control::{
    Answer, Lasts, LaunchRequest, OnClose, Patience, PeerInfo, Request, ServiceInfo, Status, SubclusterInfo, Ticket,
    UrlInfo, UrlTerms, UrlUse, VatInfo, VatPhase, WhichUrl,
};
pub use crank::{Begun, Crossings, Plan, PlannedItem, StartOf, begin};
pub use ctx::Ctx;
pub use event::{DeathNote, Effect, Effects, Event, Notice, UrlHost};
pub use remotes::{
    Garbage, Greeting, Heard, LinkNews, Stranger, StrangerHeard, Strangers, admit, dial_failed, greet, hear, hear_ack,
    hello, offended, room_for_calls, skip_gap, standing_with, tell_garbage,
};
pub use rings::{Rings, Suspects, sweep_rings};
pub use url_services::{URL_ISSUER, URL_REDEEMER};
