//! What an actor asks of the two services for OCAP URLs, if it was launched with them: texts for objects that it knows,
//! and objects for texts that it has heard of.
//!
//! What always holds: dice of its own, so that an actor without these services does what it would do anyway. Such
//! messages bear no name; what they mean to the kernel is checked by what becomes of their results.

use super::model::Model;
use crate::dice::Dice;
use sturdy_kernel::{URL_ISSUER, URL_REDEEMER};
use sturdy_smallcaps::{Value, decode, encode_body};
use sturdy_types::{CapData, Delivery, VRef};

/// The services that an actor knows, and the last text that it heard.
#[derive(Default)]
pub(super) struct Wishes {
    issuer: Option<VRef>,
    redeemer: Option<VRef>,
    text: Option<String>,
}

impl Wishes {
    /// Takes in what a delivery tells of services and texts.
    pub(super) fn learn(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Message { message, .. } if message.methargs.body.starts_with("#[\"bootstrap\"") => {
                self.issuer = service(&message.methargs, URL_ISSUER);
                self.redeemer = service(&message.methargs, URL_REDEEMER);
            }
            Delivery::Notify(batch) => {
                for resolution in batch.iter().filter(|one| one.value.body.starts_with("#\"ocap:")) {
                    if let Ok(Value::String(text)) = decode(&resolution.value) {
                        self.text = Some(text);
                    }
                }
            }
            _ => {}
        }
    }

    /// Perhaps a message to one of the services.
    pub(super) fn next(&self, dice: &mut Dice, model: &Model) -> Option<(VRef, CapData<VRef>)> {
        let known = |service: Option<VRef>| service.filter(|service| model.imports().contains(service));
        if dice.once_in(2) {
            let target = known(self.issuer)?;
            let object = dice.pick(&[model.imports(), model.exports()].concat())?;
            return Some((target, issue(dice, object)));
        }
        let target = known(self.redeemer)?;
        let text = self.text.clone().unwrap_or_else(|| "ocap:nothing".into());
        let arguments = if dice.once_in(8) { Vec::new() } else { vec![Value::String(text)] };
        Some((target, said("redeem", arguments, Vec::new())))
    }
}

fn issue(dice: &mut Dice, object: VRef) -> CapData<VRef> {
    let option = |name: &str, value| vec![Value::record([(name.to_owned(), value)])];
    let options = match dice.below(8) {
        0 => option("once", Value::Bool(true)),
        1 => option("expiresAt", Value::Number(2_000_000.0)),
        2 => option("expiresAt", Value::Bool(true)),
        3 => option("onse", Value::Bool(true)),
        4 => vec![Value::Null],
        5 => vec![Value::Undefined],
        _ => Vec::new(),
    };
    match dice.below(10) {
        0 => said("issue", Vec::new(), Vec::new()),
        1 => said("isue", Vec::new(), Vec::new()),
        2 => said("issue", vec![Value::Null], Vec::new()),
        _ => said("issue", [vec![Value::Remotable { slot: 0, iface: None }], options].concat(), vec![object]),
    }
}

fn said(method: &str, arguments: Vec<Value>, slots: Vec<VRef>) -> CapData<VRef> {
    CapData { body: encode_body(&Value::Array(vec![Value::string(method), Value::Array(arguments)])), slots }
}

/// The service of this name among the second argument of `bootstrap(vats, services)`.
fn service(methargs: &CapData<VRef>, wanted: &str) -> Option<VRef> {
    let Ok(Value::Array(parts)) = decode(methargs) else { return None };
    let Some(Value::Array(arguments)) = parts.get(1) else { return None };
    let Some(Value::Record(services)) = arguments.get(1) else { return None };
    services.iter().find_map(|(name, value)| match value {
        Value::Remotable { slot, .. } if name == wanted => methargs.slots.get(*slot).copied(),
        _ => None,
    })
}
