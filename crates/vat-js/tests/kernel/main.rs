//! JavaScript vats on the real kernel, with the audit after every turn: the behaviours that kernel-semantics §9 numbers, as
//! vats and hosts see them. `tests/README.md` says which item is where.

mod docs;
mod durable;
mod garbage;
mod globals;
mod hostile;
mod life;
mod messages;
mod mint;
mod stage;

#[path = "../../../node/tests/world/mod.rs"]
mod world;
