//! The program of most vats of the corpus: it greets, keeps, passes on, waits, chains and pays, as it is told.
//!
//! Its JavaScript twin is `../js/party.js`: both answer the same.

use super::work::{
    Answer, LOST, Work, after, durable_peer, hold_durably, just, nothing, pass_on, plain, reference, settle, text,
    thing,
};
use sturdy_types::{CapData, Resolution, Syscall, VRef};
use sturdy_vat::{Reply, error_value};

/// The root's methods.
pub fn party(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "hello" | "make" | "same" | "isSame" | "link" | "note" | "heard" | "clear" => plainly(work),
        "hold" | "open" | "openLink" | "break" | "lend" | "await" => waiting(work),
        "ask" | "handOn" | "keep" | "drop" | "get" | "give" | "use" | "fetch" => passing(work),
        "chain" | "stream" | "pingpong" | "churn" | "knot" | "knotBack" | "tie" => talking(work),
        "pay" | "accept" | "forge" | "trade" => paying(work),
        "remember" | "recall" | "befriend" | "callFriend" => remembering(work),
        other => Err(format!("there is no {other}")),
    }
}

/// What is answered at once.
fn plainly(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "hello" => Ok(Reply::Value(text(&format!("hello, {}", work.text(0)?)))),
        "make" => {
            let name = work.text(0)?;
            let thing = work.object(move |work| named(&name, work));
            Ok(Reply::Value(just(thing)))
        }
        "same" => {
            let same = same(work);
            Ok(Reply::Value(just(same)))
        }
        "isSame" => {
            if !work.mem.has_own("same") {
                return Err(format!("{LOST} there is no such object"));
            }
            let same = same(work);
            Ok(Reply::Value(plain(if work.slot(0)? == same { "\"yes\"" } else { "\"no\"" })))
        }
        "link" => Ok(Reply::Value(link(work, 1))),
        "note" => {
            let log = work.crank.get("log").unwrap_or_default();
            let log = if log.is_empty() { work.text(0)? } else { format!("{log} {}", work.text(0)?) };
            work.crank.set("log", log);
            Ok(Reply::Value(plain(work.raw(0)?)))
        }
        "heard" => Ok(Reply::Value(text(&work.crank.get("log").unwrap_or_default()))),
        _ => {
            work.crank.set("log", "");
            Ok(nothing())
        }
    }
}

/// An object that only knows its name.
fn named(name: &str, work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "hello" => Ok(Reply::Value(text(&format!("{name} greets {}", work.text(0)?)))),
        other => Err(format!("there is no {other}")),
    }
}

/// One object, always the same.
fn same(work: &mut Work<'_, '_>) -> VRef {
    let same = work.mem.own("same", || thing(work.mem, |work| named("the same", work)));
    work.crank.export(same)
}

/// An object that makes the next of its kind.
fn link(work: &mut Work<'_, '_>, depth: u64) -> CapData<VRef> {
    just(work.object(move |work| match work.method {
        "link" => Ok(Reply::Value(link(work, depth + 1))),
        "depth" => Ok(Reply::Value(plain(depth))),
        other => Err(format!("there is no {other}")),
    }))
}

/// Promises that are settled later.
fn waiting(work: &mut Work<'_, '_>) -> Answer {
    let gate = work.text(0)?;
    match work.method {
        "hold" => {
            if let Some(result) = work.result {
                work.mem.wait_at(&gate, result);
            }
            Ok(Reply::Later)
        }
        "open" => {
            let value = work.value(1)?;
            for promise in work.mem.open_gate(&gate)? {
                work.crank.settle(promise, false, value.clone());
            }
            Ok(nothing())
        }
        "openLink" => {
            let value = link(work, 0);
            for promise in work.mem.open_gate(&gate)? {
                work.crank.settle(promise, false, value.clone());
            }
            Ok(nothing())
        }
        "break" => {
            let reason = error_value(&work.text(1)?);
            for promise in work.mem.open_gate(&gate)? {
                work.crank.settle(promise, true, reason.clone());
            }
            Ok(nothing())
        }
        "lend" => {
            let promise = work.crank.promise();
            work.mem.wait_at(&gate, promise);
            let to = work.slot(1)?;
            Ok(work.ask(to, "await", "[\"&0\"]", vec![promise]))
        }
        _ => {
            let promise = work.slot(0)?;
            Ok(pass_on(work.crank, work.mem, promise, work.result))
        }
    }
}

/// References that go from hand to hand.
fn passing(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "ask" | "handOn" => {
            let (to, method) = (work.slot(0)?, work.text(1)?);
            let (args, slots) = work.args_from(2)?;
            if work.method == "handOn" {
                return Ok(work.hand_on(to, &method, &args, slots));
            }
            Ok(work.ask(to, &method, &args, slots))
        }
        "keep" => {
            work.mem.keep(&work.text(0)?, work.slot(1)?);
            Ok(nothing())
        }
        "drop" => {
            work.mem.drop_kept(&work.text(0)?);
            Ok(nothing())
        }
        "get" => Ok(Reply::Value(just(work.mem.kept(&work.text(0)?)?))),
        "give" => {
            let (to, name) = (work.slot(0)?, work.text(1)?);
            let kept = work.mem.kept(&name)?;
            Ok(work.ask(to, "keep", &format!("[\"{name}\",\"$0\"]"), vec![kept]))
        }
        "use" => {
            let kept = work.mem.kept(&work.text(0)?)?;
            let args = format!("[{}]", work.raw(1)?);
            Ok(work.ask(kept, "hello", &args, Vec::new()))
        }
        _ => {
            let (from, method, name) = (work.slot(0)?, work.text(1)?, work.text(2)?);
            let answer = work.crank.send(from, &method, &format!("[\"{name}\"]"), Vec::new());
            let result = work.result;
            after(work.crank, work.mem, answer, move |crank, mem, settled| {
                let value = match settled.value.slots.first() {
                    Some(slot) if !settled.rejected => {
                        mem.keep(&name, *slot);
                        plain("\"#undefined\"")
                    }
                    _ => settled.value.clone(),
                };
                settle(crank, result, settled.rejected, value);
            });
            Ok(Reply::Later)
        }
    }
}

/// Conversations.
fn talking(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "chain" => {
            let (to, gate) = (work.slot(0)?, work.raw(1)?.to_owned());
            let mut link = work.send(to, "hold", &format!("[{gate}]"), Vec::new());
            for _ in 0..work.number(2)? {
                link = work.send(link, "link", "[]", Vec::new());
            }
            Ok(work.ask(link, "depth", "[]", Vec::new()))
        }
        "stream" => stream(work),
        "pingpong" => {
            let left = work.number(1)?;
            if left == 0 {
                return Ok(Reply::Value(plain("\"enough\"")));
            }
            let to = work.slot(0)?;
            Ok(work.ask(to, "pingpong", &format!("[\"$0\",{}]", left - 1), vec![VRef::ROOT]))
        }
        "churn" => churn(work),
        "knot" => {
            let promise = work.crank.promise();
            let to = work.slot(0)?;
            let back = work.crank.send(to, "knotBack", "[\"&0\"]", vec![promise]);
            let result = work.result;
            after(work.crank, work.mem, back, move |crank, mem, settled| match settled.value.slots.first() {
                Some(&other) if !settled.rejected => {
                    let named = settled.value.clone();
                    crank.settle(promise, false, named);
                    crank.subscribe(other);
                    after(crank, mem, other, move |crank, _, settled| {
                        let (rejected, value) = (settled.rejected, settled.value.clone());
                        let tied = if rejected { value } else { plain("\"tied\"") };
                        settle(crank, result, rejected, tied);
                    });
                }
                _ => {
                    crank.settle(promise, true, settled.value.clone());
                    settle(crank, result, true, settled.value.clone());
                }
            });
            Ok(Reply::Later)
        }
        "knotBack" => {
            let promise = work.crank.promise();
            work.mem.wait_at("knot", promise);
            Ok(Reply::Value(list_of(promise)))
        }
        _ => {
            // Both in one syscall: neither can be named once it is settled.
            for promise in work.mem.open_gate("knot")? {
                let other = work.crank.promise();
                let settled = |promise, value| Resolution { promise, rejected: false, value };
                let ring = vec![settled(promise, list_of(other)), settled(other, list_of(promise))];
                work.crank.syscall(Syscall::Resolve(ring));
            }
            Ok(nothing())
        }
    }
}

/// A list of one reference.
fn list_of(vref: VRef) -> CapData<VRef> {
    let mut slots = Vec::new();
    let body = format!("#[{}]", reference(vref, &mut slots));
    CapData { body, slots }
}

/// Messages to a promise, and then to what it became: one order.
fn stream(work: &mut Work<'_, '_>) -> Answer {
    let (to, gate) = (work.slot(0)?, work.raw(1)?.to_owned());
    let promise = work.crank.send(to, "hold", &format!("[{gate}]"), Vec::new());
    let third = (1..=3).map(|number| work.crank.send(promise, "note", &format!("[{number}]"), Vec::new())).last();
    let result = work.result;
    after(work.crank, work.mem, promise, move |crank, mem, settled| match settled.value.slots.first() {
        Some(&target) if !settled.rejected => {
            crank.send_only(target, "note", "[4]", Vec::new());
            let fifth = crank.send(target, "note", "[5]", Vec::new());
            pass_on(crank, mem, fifth, result);
        }
        _ => {
            // The messages to the promise have failed for the same reason.
            let third = third.filter(|_| settled.rejected);
            if let Some(third) = third {
                pass_on(crank, mem, third, result);
            }
        }
    });
    Ok(Reply::Later)
}

/// Has objects made, uses each once, one after the other, and keeps none.
fn churn(work: &mut Work<'_, '_>) -> Answer {
    let (from, wanted) = (work.slot(0)?, work.number(1)?);
    let answers: Vec<VRef> = (0..wanted)
        .map(|number| {
            let made = work.send(from, "make", &format!("[\"thing {number}\"]"), Vec::new());
            work.send(made, "hello", "[\"me\"]", Vec::new())
        })
        .collect();
    let last = answers.last().copied().ok_or("churn wants a number above 0")?;
    Ok(pass_on(work.crank, work.mem, last, work.result))
}

/// Money.
fn paying(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "pay" => {
            let (currency, to) = (work.text(0)?, work.slot(1)?);
            let purse = work.mem.kept(&currency)?;
            let withdraw = format!("[{},{}]", work.raw(2)?, work.raw(3)?);
            let payment = work.send(purse, "withdraw", &withdraw, Vec::new());
            Ok(work.ask(to, "accept", &format!("[\"{currency}\",\"&0\"]"), vec![payment]))
        }
        "accept" => {
            let (purse, payment) = (work.mem.kept(&work.text(0)?)?, work.slot(1)?);
            let mut slots = Vec::new();
            let args = format!("[{}]", reference(payment, &mut slots));
            Ok(work.ask(purse, "deposit", &args, slots))
        }
        "forge" => {
            let purse = work.mem.kept(&work.text(0)?)?;
            let forged = work.object(|_| Ok(Reply::Value(plain(1_000))));
            Ok(work.ask(purse, "deposit", "[\"$0\"]", vec![forged]))
        }
        _ => {
            let (agent, deal, who) = (work.slot(0)?, work.text(1)?, work.text(2)?);
            let (give, amount) = (work.text(3)?, work.number(4)?);
            let (want, price) = (work.text(5)?, work.number(6)?);
            let purse = work.mem.kept(&give)?;
            let withdraw = format!("[\"{deal} of {who}\",{amount}]");
            let payment = work.send(purse, "withdraw", &withdraw, Vec::new());
            let offer = format!("[\"{deal}\",\"{who}\",\"$0\",\"{give}\",{amount},\"{want}\",{price},\"&1\"]");
            Ok(work.ask(agent, "offer", &offer, vec![VRef::ROOT, payment]))
        }
    }
}

/// What outlives the heap.
fn remembering(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "remember" => {
            let name = work.text(0)?;
            work.crank.set(format!("note {name}"), work.text(1)?);
            Ok(nothing())
        }
        "recall" => {
            let name = work.text(0)?;
            Ok(Reply::Value(text(&work.crank.get(&format!("note {name}")).unwrap_or_default())))
        }
        "befriend" => {
            let friend = work.slot(0)?;
            hold_durably(work.crank, friend);
            Ok(nothing())
        }
        _ => {
            let friend = durable_peer(work.crank).ok_or_else(|| format!("{LOST} no friend"))?;
            let args = format!("[{}]", work.raw(0)?);
            Ok(work.ask(friend, "hello", &args, Vec::new()))
        }
    }
}
