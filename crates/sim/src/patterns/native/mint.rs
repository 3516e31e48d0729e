//! A mint: accounts, purses that stand for them, and payments that move money from one to another.
//!
//! What always holds: the balances of all accounts and the open payments add up to what was issued; accounts and payments
//! are durable, purses and payment objects are not. Whether a payment is genuine is not told by its identity, which does
//! not survive a detour over a third kernel: the mint sends it a number, and only a genuine payment can write under that
//! number into the mint's books. Withdrawing again under a name gives the same payment, and depositing a payment again
//! where it went is no second deposit, so that whoever has lost an answer can ask again.

use super::work::{Answer, Work, after, just, nothing, plain};
use sturdy_types::CapData;
use sturdy_vat::{Crank, Reply, error_value};

/// The root's methods.
pub fn mint(work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "purse" => {
            let (name, amount) = (work.text(0)?, work.number(1)?);
            if work.crank.get(&account(&name)).is_none() {
                work.crank.set(account(&name), amount.to_string());
                let all = work.crank.get("accounts").unwrap_or_default();
                work.crank.set("accounts", format!("{all}{name},"));
            }
            let purse = work.object(move |work| purse(&name, work));
            Ok(Reply::Value(just(purse)))
        }
        "total" => {
            let all = work.crank.get("accounts").unwrap_or_default();
            let balances: i64 = all.split_terminator(',').map(|name| number(work.crank, &account(name))).sum();
            Ok(Reply::Value(plain(balances + number(work.crank, "open"))))
        }
        other => Err(format!("there is no {other}")),
    }
}

fn account(name: &str) -> String {
    format!("account {name}")
}

fn number(crank: &mut Crank<'_>, key: &str) -> i64 {
    crank.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn add(crank: &mut Crank<'_>, key: &str, amount: i64) {
    let sum = number(crank, key) + amount;
    crank.set(key, sum.to_string());
}

/// One account.
fn purse(name: &str, work: &mut Work<'_, '_>) -> Answer {
    match work.method {
        "balance" => Ok(Reply::Value(plain(number(work.crank, &account(name))))),
        "withdraw" => {
            let (id, amount) = (work.text(0)?, work.number(1)?);
            if work.crank.get(&format!("payment {id}")).is_none() {
                let balance = number(work.crank, &account(name));
                if balance < amount {
                    return Err(format!("only {balance} left"));
                }
                add(work.crank, &account(name), -amount);
                add(work.crank, "open", amount);
                work.crank.set(format!("payment {id}"), amount.to_string());
            }
            let payment = work.object(move |work| payment(&id, work));
            Ok(Reply::Value(just(payment)))
        }
        "deposit" => deposit(name, work),
        other => Err(format!("there is no {other}")),
    }
}

fn deposit(name: &str, work: &mut Work<'_, '_>) -> Answer {
    add(work.crank, "deposits", 1);
    let deposit = number(work.crank, "deposits");
    work.crank.set(format!("deposit {deposit}"), name);
    let claimed = work.slot(0)?;
    let answer = work.send(claimed, "payFor", &format!("[{deposit}]"), Vec::new());
    let result = work.result;
    after(work.crank, work.mem, answer, move |crank, _, settled| {
        let paid = crank.get(&format!("paid {deposit}"));
        crank.delete(format!("paid {deposit}"));
        crank.delete(format!("deposit {deposit}"));
        let Some(result) = result else { return };
        match paid {
            Some(amount) => crank.settle(result, false, plain(amount)),
            None if settled.rejected => crank.settle(result, true, settled.value.clone()),
            None => crank.settle(result, true, forged()),
        }
    });
    Ok(Reply::Later)
}

fn forged() -> CapData<sturdy_types::VRef> {
    error_value("this is no payment of this mint")
}

/// Money on its way.
fn payment(id: &str, work: &mut Work<'_, '_>) -> Answer {
    if work.method != "payFor" {
        return Err(format!("there is no {}", work.method));
    }
    let deposit = work.number(0)?;
    let Some(name) = work.crank.get(&format!("deposit {deposit}")) else { return Ok(nothing()) };
    let amount = number(work.crank, &format!("payment {id}"));
    match work.crank.get(&format!("spent {id}")) {
        Some(spent) if spent != name => return Err("the payment is spent".into()),
        Some(_) => {}
        None => {
            add(work.crank, "open", -amount);
            add(work.crank, &account(&name), amount);
            work.crank.set(format!("spent {id}"), name);
        }
    }
    work.crank.set(format!("paid {deposit}"), amount.to_string());
    Ok(nothing())
}
