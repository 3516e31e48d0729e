//! The daemon: the only async loop. It brings the node, the runtimes of vats and an engine together, turns each effect
//! into a deed and each result into an event.
//!
//! What always holds: one thread owns the node and every heap, and it never waits for anybody but the clock and its
//! own channels; whoever asks something of it from outside does so through a [`Handle`] and is answered only with what
//! is durable (G2). Whose death it was is noted before each delivery (G3). Without a [`NetworkConfig`] there is no socket.
//!
//! Not here: what events mean (`sturdy-kernel`), when effects are released (`sturdy-node`), what people type
//! (`sturdy`), bytes on the wire (`sturdy-transport`).

mod boot;
mod clock;
pub mod cluster_file;
mod config;
mod death;
mod facet;
mod handle;
mod heaps;
mod identity;
mod inspect;
mod kernel_loop;
mod look;
mod network;
mod once;
mod peers;
mod places;
mod redact;
mod release;
mod rest;
mod restore;
mod services;
mod steady;
mod strict_json;
mod undialable;
mod watchdog;

pub use boot::{Daemon, StartError};
pub use config::{DaemonConfig, DaemonLimits, Place, Report, Reporter};
pub use death::{GroupState, group_state_at_death};
pub use facet::FACET_SERVICE;
pub use handle::{Handle, IssuedUrl, Lasting, PeerView, RefInfo, RefOwner, RequestError, Settled, Stats};
pub use heaps::{MakeRuntimes, Runtimes};
pub use identity::{IdentityError, identity_file, last_peer, load_identity, new_identity};
pub use look::{LookError, StoreView};
pub use network::{LinkInfo, NetworkConfig, NetworkInfo, NetworkNews, NetworkSwitch, Way};
pub use places::{RelayInfo, RelayStanding};
pub use rest::{ResetReport, RestError, RestingKernel};
pub use restore::{CutOff, Existing, RestoreError, Restored, restore_store};
pub use services::{ServiceAccess, ServiceCall, Services};
pub use sturdy_node::kernel::{
    Answer, Lasts, LaunchRequest, Notice, OnClose, Patience, PeerInfo, Refused, Request, ServiceInfo, Status,
    SubclusterInfo, URL_ISSUER, URL_REDEEMER, UrlInfo, UrlTerms, UrlUse, VatInfo, VatPhase, WhichUrl,
};
pub use sturdy_node::remote::Loss;
pub use sturdy_store::{PeerKind, RemoteState, UrlUses};
pub use sturdy_store_sqlite::{make_private_dir, private_file};
pub use sturdy_transport::{Path as LinePath, Reach, TransportLimits, Wire};
pub use sturdy_vat::LogLevel;
