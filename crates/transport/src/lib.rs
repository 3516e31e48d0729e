//! Bytes to and from authenticated peers, over libp2p: frames on connections, dialling, relays, limits.
//!
//! What always holds: a peer's id is proved by its key before anything of it is told; a wish for a connection stands until
//! it is fulfilled or taken back; a host that does not take events slows down its peers, and nothing grows without bound;
//! reaching a limit delays or closes and never silently loses a frame that was accepted. Bytes may still be lost with
//! their connection: that nothing is lost end to end is the outbox's business. Deliberately elsewhere: what frames mean
//! and the handshake (`remote`), what is durable (`kernel`), URLs and identity files (`types`, `identity`).

mod addresses;
mod alias;
mod bucket;
mod causes;
mod config;
mod driver;
mod event;
mod found;
mod frames;
mod gate;
mod given;
mod handle;
mod line;
mod listen;
mod peers;
mod pieces;
pub mod relay;
mod relays;
mod start;
mod streams;
mod strip;
mod swarm;
mod wake;

pub use addresses::{HintRefused, MAX_HINT_BYTES, MAX_HINTS_PER_PEER, Reach, TOO_NEAR};
pub use config::{Protocols, TransportConfig, TransportLimits};
pub use event::{Event, Events, Gone, Path, Side, Wire};
pub use found::{MAX_KEPT, keep_addresses};
pub use frames::{FrameError, MAX_FRAME_BYTES};
pub use given::{AddressRefused, check_addresses};
pub use handle::{NotAPeer, TransportHandle};
pub use start::{StartError, start};
