//! The nouns of Sturdy: identifiers, the three kinds of reference, capability data, messages, deliveries,
//! syscalls, outcomes, error codes, configuration and limits.
//!
//! What always holds: every identifier is its own type, integers inside, and its text form (`ko4`, `o+0`,
//! `ro-1`) is produced and parsed only here. Nothing in this crate does IO, knows a store or makes a decision;
//! the rules live in `sturdy-kernel`.

mod capdata;
mod code;
mod config;
pub mod defect;
mod delivery;
mod ids;
mod limits;
mod ocap_url;
mod outcome;
mod refs;
mod text;

pub use capdata::{CapData, Message, Resolution};
pub use code::{Code, ErrorClass, Fatal, KernelError, classify};
pub use config::{ClusterConfig, CodeSpec, ModuleSource, RuntimeKind, SourceHash, VatConfig};
pub use delivery::{Delivery, StartSpec};
pub use ids::{
    CallId, ConnectionId, CrankId, EndpointId, Incarnation, Millis, ObjectId, PromiseId, RemoteId, RunId,
    ServiceCallId, SubclusterId, UrlId, VatId,
};
pub use limits::{KernelLimits, VatLimits};
pub use ocap_url::{MAX_URL_BYTES, OcapUrl, OcapUrlError, Oid, redact_urls};
pub use outcome::{Hold, Metering, Outcome, StateDelta, Syscall, Verdict};
pub use refs::{Facet, KRef, RRef, VRef, VirtualRef};
pub use text::{ParseRefError, json_string, json_string_bytes, write_json_string};
