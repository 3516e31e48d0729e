//! The vats of the corpus as native programs.
//!
//! What always holds: each has a JavaScript twin of the same name in `../js`, and both answer the same.

mod agent;
mod membrane;
mod mint;
mod party;
mod work;

pub use work::LOST;

use std::rc::Rc;
use sturdy_vat::NativeRuntime;
use work::Root;

/// A runtime that offers all programs, by role.
pub fn runtime() -> NativeRuntime {
    let mut runtime = NativeRuntime::new();
    runtime.register("party", |_, _| Ok(Rc::new(Root::new(party::party))));
    runtime.register("mint", |_, _| Ok(Rc::new(Root::new(mint::mint))));
    runtime.register("agent", |_, _| Ok(Rc::new(Root::new(agent::agent))));
    runtime.register("membrane", |_, _| Ok(Rc::new(Root::new(membrane::membrane))));
    runtime
}
