//! Who a kernel is: an Ed25519 key, its peer id, the words that bring it back, the file in which it lies beside the
//! store, and the check of OCAP URLs before anybody dials.
//!
//! What always holds: a secret is shown only by a function whose name says so, is wiped from memory when it is dropped,
//! and is on disk only in the identity file, for its owner's eyes. A file or text that is not exactly right is refused
//! with the reason. Deliberately elsewhere: chance (the caller brings random bits), the store (losing it does not change
//! who a kernel is), what an OCAP URL stands for (`sturdy-kernel`).

mod file;
mod key;
mod peer;
mod url;

pub use file::{CreateError, Damage, LoadError, create, load, replace};
pub use key::{Identity, MnemonicError, SeedError};
pub use peer::{PeerId, PeerIdError};
pub use sturdy_types::{OcapUrl, OcapUrlError, Oid, redact_urls};
pub use url::{UrlMistake, parse_url};
