//! An escrow agent: both sides of a deal get what they want, or both get back what they gave.
//!
//! What always holds: nothing leaves the agent's purses before both sides have paid in. Payments to and from it bear
//! names made of deal and side, so a deal that is begun again after a loss pays nothing twice.

use super::work::{Answer, Mem, Work, after, plain, reference};
use sturdy_types::{CapData, VRef};
use sturdy_vat::{Crank, Reply, error_value};

/// The root's methods.
pub fn agent(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "keep" => {
            work.mem.keep(&work.text(0)?, work.slot(1)?);
            Ok(super::work::nothing())
        }
        "offer" => offer(work),
        other => Err(format!("there is no {other}")),
    }
}

/// One side pays in; what it gave and what it wants is noted once the money is there.
fn offer(work: &mut Work<'_, '_>) -> Answer {
    let (deal, who, party) = (work.text(0)?, work.text(1)?, work.slot(2)?);
    let (give, amount) = (work.text(3)?, work.number(4)?);
    let (want, price) = (work.text(5)?, work.number(6)?);
    let mut slots = Vec::new();
    let args = format!("[{}]", reference(work.slot(7)?, &mut slots));
    let purse = work.mem.kept(&give)?;
    let paid = work.crank.send(purse, "deposit", &args, slots);
    let (result, side) = (work.result, format!("{deal} of {who}"));
    work.mem.keep(&side, party);
    after(work.crank, work.mem, paid, move |crank, mem, settled| {
        let Some(result) = result else { return };
        if settled.rejected {
            return crank.settle(result, true, settled.value.clone());
        }
        if settled.value.body != format!("#{amount}") {
            return crank.settle(result, true, error_value("the payment is not what was offered"));
        }
        mem.wait_at(&side, result);
        mem.note(&side, format!("{give} {amount} {want} {price}"));
        match mem.noted(&deal) {
            Some(other) if other != side => close(crank, mem, &deal, [&other, &side]),
            _ => mem.note(&deal, side),
        }
    });
    Ok(Reply::Later)
}

/// Both sides have paid in.
fn close(crank: &mut Crank<'_>, mem: &Mem, deal: &str, sides: [&str; 2]) {
    let terms = sides.map(|side| mem.noted(side).unwrap_or_default());
    let words: Vec<Vec<&str>> = terms.iter().map(|terms| terms.split(' ').collect()).collect();
    let agreed = words[0][..2] == words[1][2..] && words[0][2..] == words[1][..2];
    for (side, words) in sides.iter().zip(&words) {
        let (sum, name) = if agreed { (&words[2..], "to") } else { (&words[..2], "back to") };
        let outcome = if agreed { Ok(()) } else { Err("the terms differ") };
        pay_out(crank, mem, side, [sum[0], sum[1], &format!("{deal} {name} {side}")], outcome);
    }
}

/// Pays one side, and then tells it how the deal has ended.
fn pay_out(
    crank: &mut Crank<'_>,
    mem: &Mem,
    side: &str,
    [currency, amount, name]: [&str; 3],
    outcome: Result<(), &'static str>,
) {
    let fail = |crank: &mut Crank<'_>, mem: &Mem, side: &str, reason: &CapData<VRef>| {
        for result in mem.open_gate(side).unwrap_or_default() {
            crank.settle(result, true, reason.clone());
        }
    };
    let (Ok(purse), Ok(party)) = (mem.kept(currency), mem.kept(side)) else {
        return fail(crank, mem, side, &error_value("the agent has no such purse"));
    };
    let payment = crank.send(purse, "withdraw", &format!("[\"{name}\",{amount}]"), Vec::new());
    after(crank, mem, payment, |_, _, _| {});
    let accepted = crank.send(party, "accept", &format!("[\"{currency}\",\"&0\"]"), vec![payment]);
    let side = side.to_owned();
    after(crank, mem, accepted, move |crank, mem, settled| match outcome {
        _ if settled.rejected => fail(crank, mem, &side, settled.value),
        Err(why) => fail(crank, mem, &side, &error_value(why)),
        Ok(()) => {
            for result in mem.open_gate(&side).unwrap_or_default() {
                crank.settle(result, false, plain("\"exchanged\""));
            }
        }
    });
}
