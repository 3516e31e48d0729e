//! The native vats that are measured.

use std::rc::Rc;
use sturdy_types::{CapData, CodeSpec, RuntimeKind, VRef, VatConfig};
use sturdy_vat::{Call, Crank, NativeRuntime, Object, Reply};

pub fn runtime() -> NativeRuntime {
    let mut runtime = NativeRuntime::new();
    runtime.register("player", |_, _| Ok(Rc::new(Player)));
    runtime
}

/// Vats of this kind, under these names.
pub fn players(names: &[&str]) -> Vec<(String, VatConfig)> {
    let code = || CodeSpec { runtime: RuntimeKind::Native, entry: "player".into(), modules: Vec::new() };
    let config = || VatConfig { code: code(), parameters: "#{}".into(), globals: Vec::new() };
    names.iter().map(|name| ((*name).to_owned(), config())).collect()
}

struct Player;

fn arguments(call: &Call<'_>) -> Vec<u64> {
    call.args.trim_matches(['[', ']']).split(',').filter_map(|text| text.trim().parse().ok()).collect()
}

impl Object for Player {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match call.method {
            "rally" => {
                rally(crank, call.slots[0], arguments(call)[0], call.result);
                Reply::Later
            }
            "fill" => {
                let [from, count] = arguments(call)[..] else {
                    return Reply::Error(CapData::plain("#\"two numbers\""));
                };
                for number in from..from + count {
                    crank.set(format!("key {number:012}"), format!("the value of row {number}"));
                }
                Reply::Value(CapData::plain("#1"))
            }
            _ => Reply::Value(CapData::plain("#1")),
        }
    }
}

/// Calls the peer, and again when it has answered.
fn rally(crank: &mut Crank<'_>, peer: VRef, left: u64, result: Option<VRef>) {
    if left == 0 {
        if let Some(result) = result {
            crank.settle(result, false, CapData::plain("#1"));
        }
        return;
    }
    let answer = crank.send(peer, "ping", "[]", Vec::new());
    crank.when(answer, move |crank, _| rally(crank, peer, left - 1, result));
}
