//! Native vats for tests of crashes: conversations of several cranks, and a bank whose books show whether anything was
//! lost or done twice.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use sturdy_types::{CapData, VRef};
use sturdy_vat::{Call, Crank, NativeRuntime, Object, Reply, error_value};

/// A host that offers all programs.
pub fn runtime() -> NativeRuntime {
    let mut runtime = NativeRuntime::new();
    for name in ["alice", "bob"] {
        runtime.register(name, |_, _| Ok(Rc::new(Player::default())));
    }
    runtime.register("bank", |_, _| Ok(Rc::new(Bank)));
    runtime
}

fn number(value: impl std::fmt::Display) -> CapData<VRef> {
    CapData::plain(format!("#{value}"))
}

fn undefined() -> Reply {
    Reply::Value(CapData::plain("#\"#undefined\""))
}

/// The plain arguments of a call, without quotes.
fn arguments<'a>(call: &Call<'a>) -> Vec<&'a str> {
    call.args.trim_matches(['[', ']']).split(',').map(|argument| argument.trim().trim_matches('"')).collect()
}

fn count(crank: &mut Crank<'_>, key: &str) -> u64 {
    let counted = crank.get(key).map_or(0, |text| text.parse::<u64>().expect("a number")) + 1;
    crank.set(key, counted.to_string());
    counted
}

/// A vat that talks: with its peers, with services, with itself.
#[derive(Default)]
struct Player {
    held: Rc<RefCell<BTreeMap<String, VRef>>>,
}

impl Object for Player {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        let arguments = arguments(call);
        let id = arguments[0].to_owned();
        match call.method {
            "bootstrap" => undefined(),
            "ping" => {
                count(crank, "pings");
                Reply::Value(number(1))
            }
            "rally" => {
                rally(crank, call.slots[0], (0, arguments[1].parse().expect("a number")), call.result);
                Reply::Later
            }
            "chain" => {
                let mut link = crank.send(call.slots[0], "link", "[0]", Vec::new());
                for depth in 1..arguments[1].parse().expect("a number") {
                    link = crank.send(link, "link", &format!("[{depth}]"), Vec::new());
                }
                let end = crank.send(link, "depth", "[]", Vec::new());
                pass_on(crank, end, call.result)
            }
            "link" => Reply::Value(new_link(crank, 0)),
            "hold" => {
                let promise = crank.promise();
                self.held.borrow_mut().insert(id, promise);
                let answer = crank.send(call.slots[0], "wait", "[\"&0\"]", vec![promise]);
                pass_on(crank, answer, call.result)
            }
            "free" => {
                if let Some(promise) = self.held.borrow_mut().remove(&id) {
                    crank.settle(promise, false, CapData::plain("#\"freed\""));
                }
                undefined()
            }
            "wait" => {
                crank.subscribe(call.slots[0]);
                pass_on(crank, call.slots[0], call.result)
            }
            "exchange" => exchange(crank, &id, call.slots[0], call.result),
            "collect" => collect(crank, call.slots[0], arguments[1].parse().expect("a number"), call.result),
            "serve" => {
                let answer = crank.send(call.slots[0], "do", "[]", Vec::new());
                pass_on(crank, answer, call.result)
            }
            other => Reply::Error(error_value(&format!("there is no {other}"))),
        }
    }
}

/// What becomes of `promise` becomes of `result`.
fn pass_on(crank: &mut Crank<'_>, promise: VRef, result: Option<VRef>) -> Reply {
    crank.when(promise, move |crank, settled| {
        if let Some(result) = result {
            crank.settle(result, settled.rejected, settled.value.clone());
        }
    });
    Reply::Later
}

/// Pings the peer again and again, each time after the answer.
fn rally(crank: &mut Crank<'_>, peer: VRef, (done, wanted): (u64, u64), result: Option<VRef>) {
    if done == wanted {
        count(crank, "rallies");
        if let Some(result) = result {
            crank.settle(result, false, number(done));
        }
        return;
    }
    let answer = crank.send(peer, "ping", "[]", Vec::new());
    crank.when(answer, move |crank, settled| match (settled.rejected, result) {
        (false, _) => rally(crank, peer, (done + 1, wanted), result),
        (true, Some(result)) => crank.settle(result, true, settled.value.clone()),
        (true, None) => {}
    });
}

/// Two transfers, the second after the first: an escrow that dies in between leaves the first alone.
fn exchange(crank: &mut Crank<'_>, id: &str, bank: VRef, result: Option<VRef>) -> Reply {
    let first = crank.send(bank, "transfer", &format!("[\"{id}a\",\"x\",\"y\",3]"), Vec::new());
    let second = format!("[\"{id}b\",\"y\",\"z\",2]");
    crank.when(first, move |crank, settled| {
        if settled.rejected {
            if let Some(result) = result {
                crank.settle(result, true, settled.value.clone());
            }
            return;
        }
        let answer = crank.send(bank, "transfer", &second, Vec::new());
        pass_on(crank, answer, result);
    });
    Reply::Later
}

/// Has the peer make objects, uses each once and lets it go.
fn collect(crank: &mut Crank<'_>, peer: VRef, wanted: u64, result: Option<VRef>) -> Reply {
    let left = Rc::new(Cell::new(wanted));
    for _ in 0..wanted {
        let made = crank.send(peer, "link", "[0]", Vec::new());
        let left = Rc::clone(&left);
        crank.when(made, move |crank, settled| {
            if let (false, Some(&link)) = (settled.rejected, settled.value.slots.first()) {
                crank.send_only(link, "depth", "[]", Vec::new());
                crank.release(link);
            }
            left.set(left.get() - 1);
            if left.get() == 0
                && let Some(result) = result
            {
                let rejected = settled.rejected;
                crank.settle(result, rejected, if rejected { settled.value.clone() } else { number(wanted) });
            }
        });
    }
    Reply::Later
}

/// An object that makes the next of its kind.
struct Link(u64);

fn new_link(crank: &mut Crank<'_>, depth: u64) -> CapData<VRef> {
    let link = crank.export(Rc::new(Link(depth)));
    CapData { body: "#\"$0.Alleged: link\"".into(), slots: vec![link] }
}

impl Object for Link {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match call.method {
            "link" => Reply::Value(new_link(crank, self.0 + 1)),
            _ => Reply::Value(number(self.0)),
        }
    }
}

/// Accounts in durable state. Each transfer counts itself, so that one done twice shows.
struct Bank;

impl Object for Bank {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        let arguments = arguments(call);
        if call.method != "transfer" {
            return undefined();
        }
        let [id, from, to, amount] = arguments[..] else { return Reply::Error(error_value("id, from, to, amount")) };
        let amount: i64 = amount.parse().expect("a number");
        count(crank, &format!("transfer {id}"));
        for (account, change) in [(from, -amount), (to, amount)] {
            let key = format!("account {account}");
            let balance = crank.get(&key).map_or(0, |text| text.parse::<i64>().expect("a number"));
            crank.set(key, (balance + change).to_string());
        }
        Reply::Value(number(amount))
    }
}
