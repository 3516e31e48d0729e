//! The hall: the one way to change a kernel.
//!
//! What always holds: every change enters through [`Node::handle`] and is one turn (law 1, G1); outer effects are held
//! back until the group of turns that caused them is durable (law 2, G2); one delivery is in flight at a time, and its
//! plan is volatile; an aborted turn is dropped, never undone. When the store or the tables fail, the node stops: every
//! later call returns the same kind of fault.
//!
//! Not here: what the turns mean (`sturdy-kernel`), how rows are kept (`sturdy-store`), who carries the effects out and
//! decides when a group ends (`sturdy-daemon`, `sturdy-sim`).

mod flight;
mod hearing;
mod held;
mod links;
mod manners;
mod node;
mod quiet_time;
mod ready;
mod strangers;
mod talk;

pub use flight::{FlightRecord, Moment};
pub use links::Volatile;
pub use node::{AuditMode, Node, NodeStats, TalkInfo};
pub use sturdy_kernel as kernel;
pub use sturdy_remote as remote;
