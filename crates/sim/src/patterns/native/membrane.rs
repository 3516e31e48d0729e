//! A membrane: whoever is behind it is reached only through objects of the membrane, in both directions, until it is
//! closed.
//!
//! What always holds: no reference passes a membrane unwrapped, as argument or as result; once it is closed, nothing
//! passes.

use super::work::{Answer, Mem, Work, after, just, nothing, settle, thing};
use sturdy_types::{CapData, VRef};
use sturdy_vat::{Crank, Reply};

/// The root's methods.
pub fn membrane(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "wrap" => {
            let (name, target) = (work.text(0)?, work.slot(1)?);
            work.mem.note(&name, "open".into());
            let wrapped = wrap(work.crank, work.mem, &name, target);
            Ok(Reply::Value(just(wrapped)))
        }
        "close" => {
            work.mem.note(&work.text(0)?, "closed".into());
            Ok(nothing())
        }
        other => Err(format!("there is no {other}")),
    }
}

/// An object of the membrane that stands for another.
fn wrap(crank: &mut Crank<'_>, mem: &Mem, name: &str, target: VRef) -> VRef {
    mem.keep(&format!("{name}: {target}"), target);
    let name = name.to_owned();
    let object = thing(mem, move |work| forward(&name, target, work));
    crank.export(object)
}

fn wrap_all(crank: &mut Crank<'_>, mem: &Mem, name: &str, value: CapData<VRef>) -> CapData<VRef> {
    let slots = value.slots.into_iter();
    let wrapped = slots.map(|slot| if slot.is_promise() { slot } else { wrap(crank, mem, name, slot) }).collect();
    CapData { body: value.body, slots: wrapped }
}

fn forward(name: &str, target: VRef, work: &mut Work<'_, '_>) -> Answer {
    match work.mem.noted(name).as_deref() {
        Some("open") => {}
        Some(_) => return Err("the membrane is closed".into()),
        None => return Err(format!("{} no such membrane", super::work::LOST)),
    }
    let (args, slots) = work.args_from(0)?;
    let inside = wrap_all(work.crank, work.mem, name, CapData { body: args, slots });
    let answer = work.crank.send(target, work.method, &inside.body, inside.slots);
    let (name, result) = (name.to_owned(), work.result);
    after(work.crank, work.mem, answer, move |crank, mem, settled| {
        let value = wrap_all(crank, mem, &name, settled.value.clone());
        settle(crank, result, settled.rejected, value);
    });
    Ok(Reply::Later)
}
