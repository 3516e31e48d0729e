//! G1, G5, G8, G11: money is neither made nor lost. Every actor begins with the same sum; messages carry some of it from
//! purse to purse, between kernels too: out of the payer's purse in the crank that sends it, into the payee's in the crank
//! that is told it, and back if the kernel says that it did not arrive.
//!
//! Each payment is credited at most once, or comes back at most once, and never both. A payer who is told that it was paid
//! is right. What a vat writes into its purse is what its cranks come to, from heap to heap. At rest the purses in the
//! stores, with what is known to be nowhere, make up what was minted.
//!
//! Lenient: a payment about which nobody knows (`CONNECTION_LOST` and the like), or whose payer has lost its heap, stays
//! out of all purses; what a vat had when it ended is gone with it. When a store was lost or set back, the payments that
//! it forgot are not judged any more, all others are. Liars, and hosts whose services are paid, may say what they like.

use super::Checker;
use super::facts::Facts;
use crate::actor::{MINTED, MessageName, PURSE, was_not_delivered};
use crate::machine::Machine;
use crate::plan::{Fault, Plan};
use crate::seen::{BeginsWith, CrankFate, KernelNo, Seen};
use std::collections::BTreeMap;
use sturdy_kernel::Effect;
use sturdy_store::{Read, Store, StoreFault, VatCursors, VatState, VatStatus, Vats};
use sturdy_types::{Delivery, Outcome, RunId, Syscall, VRef, VatId};

/// One payment.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each comes and goes by itself, as stores remember and forget
struct Payment {
    amount: u64,
    /// Who waits for the answer.
    payer: Option<(KernelNo, VatId, RunId)>,
    sent: bool,
    credited: bool,
    returned: bool,
    /// The payer knows all that it will ever know.
    answered: bool,
    /// A store has forgotten its part in it, or it came to a service of a host.
    forgotten: bool,
}

/// Something that becomes durable.
#[derive(Debug, Clone, Copy)]
enum Fact {
    Minted(VatId),
    Balance(VatId, i64),
    Sent(MessageName),
    Credited(MessageName),
    Returned(MessageName),
    Answered(MessageName),
}

/// One checker for all kernels.
pub struct Money {
    liars: bool,
    payments: BTreeMap<MessageName, Payment>,
    waiting: BTreeMap<(KernelNo, VatId, RunId, VRef), MessageName>,
    /// What each vat has, with what is not durable yet. Vats that have ended keep it.
    balances: BTreeMap<(KernelNo, VatId), i64>,
    minted: u64,
    facts: BTreeMap<KernelNo, Facts<Fact>>,
    /// A store was lost or set back.
    any_forgotten: bool,
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// The payments that an outcome sends, with the promises of their answers.
fn payments(outcome: &Outcome) -> impl Iterator<Item = (MessageName, u64, Option<VRef>)> + '_ {
    let before_exit = outcome.syscalls.iter().take_while(|syscall| !matches!(syscall, Syscall::Exit { .. }));
    before_exit.filter_map(|syscall| match syscall {
        Syscall::Send { message, .. } => {
            let (name, amount) = MessageName::of_payment(&message.methargs.body)?;
            Some((name, amount, message.result))
        }
        _ => None,
    })
}

impl Money {
    /// For a run of this plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            liars: plan.rate(Fault::Liars) > 0,
            payments: BTreeMap::new(),
            waiting: BTreeMap::new(),
            balances: BTreeMap::new(),
            minted: 0,
            facts: BTreeMap::new(),
            any_forgotten: false,
        }
    }

    fn note(&mut self, kernel: KernelNo, fact: Fact) {
        self.facts.entry(kernel).or_default().add(fact);
    }

    fn credit(&mut self, payee: (KernelNo, VatId, RunId), name: MessageName, amount: u64) -> Result<(), String> {
        let payment = self.payments.entry(name).or_default();
        if !payment.forgotten {
            if payment.credited {
                return Err(format!("the payment {name} is credited twice"));
            }
            if payment.returned && !self.liars {
                return Err(format!("the payment {name} went back to its payer, and is credited"));
            }
            if !payment.sent || payment.amount != amount {
                return Err(format!("{amount} is credited for {name}, and what was sent is {payment:?}"));
            }
        }
        payment.credited = true;
        self.note(payee.0, Fact::Credited(name));
        if self.payments[&name].payer == Some(payee) {
            self.is_answered(payee.0, name); // nobody is told what he has settled himself
        }
        Ok(())
    }

    fn is_answered(&mut self, kernel: KernelNo, name: MessageName) {
        self.payments.entry(name).or_default().answered = true;
        self.note(kernel, Fact::Answered(name));
    }

    /// The payer is told what became of it. Returns what goes back into its purse.
    fn answered(&mut self, kernel: KernelNo, name: MessageName, rejected: bool, body: &str) -> Result<u64, String> {
        let liars = self.liars;
        let Some(payment) = self.payments.get_mut(&name) else { return Ok(0) };
        let judged = !payment.forgotten && !liars;
        let back = was_not_delivered(rejected, body);
        if back {
            if judged && payment.credited {
                return Err(format!("the payer of {name} is told {body}, and it was credited"));
            }
            if judged && payment.returned {
                return Err(format!("the payment {name} goes back twice"));
            }
            payment.returned = true;
        } else if !rejected && judged && !payment.credited {
            return Err(format!("the payer of {name} is told {body}, and it was never credited"));
        }
        let amount = if back { payment.amount } else { 0 };
        self.is_answered(kernel, name);
        if back {
            self.note(kernel, Fact::Returned(name));
        }
        Ok(amount)
    }

    fn cranked(
        &mut self,
        kernel: KernelNo,
        (vat, run): (VatId, RunId),
        delivery: &Delivery,
        outcome: &Outcome,
    ) -> Result<(), String> {
        let mut change = 0;
        match delivery {
            Delivery::Message { message, .. } => {
                if let Some((name, amount)) = MessageName::of_payment(&message.methargs.body) {
                    self.credit((kernel, vat, run), name, amount)?;
                    change += signed(amount);
                }
            }
            Delivery::Notify(batch) => {
                for one in batch {
                    if let Some(name) = self.waiting.remove(&(kernel, vat, run, one.promise)) {
                        change += signed(self.answered(kernel, name, one.rejected, &one.value.body)?);
                    }
                }
            }
            _ => {}
        }
        // A crank whose outcome says less than it has done was ended by the exit of its vat.
        for (name, amount, result) in payments(outcome) {
            change -= signed(amount);
            let payment = self.payments.entry(name).or_default();
            (payment.amount, payment.sent, payment.payer) = (amount, true, Some((kernel, vat, run)));
            self.waiting.extend(result.map(|result| ((kernel, vat, run, result), name)));
            self.note(kernel, Fact::Sent(name));
        }
        self.writes(kernel, vat, change, outcome)
    }

    /// What the crank writes into the purse is what it comes to.
    fn writes(&mut self, kernel: KernelNo, vat: VatId, change: i64, outcome: &Outcome) -> Result<(), String> {
        let purse = outcome.state.writes.iter().rev().find(|(key, _)| key == PURSE);
        let Some(written) = purse.and_then(|(_, value)| value.as_deref()?.parse::<i64>().ok()) else {
            let exits = outcome.syscalls.iter().any(|syscall| matches!(syscall, Syscall::Exit { .. }));
            return match change {
                0 => Ok(()),
                _ if exits => Ok(()), // it says nothing more about its state
                _ => Err(format!("the purse of {vat} of kernel {kernel} changes by {change}, and nothing is written")),
            };
        };
        let before = if let Some(before) = self.balances.get(&(kernel, vat)) {
            *before
        } else {
            self.minted += MINTED;
            self.note(kernel, Fact::Minted(vat));
            signed(MINTED)
        };
        if before + change != written {
            return Err(format!("{vat} of kernel {kernel} had {before}, got {change}, and has {written}"));
        }
        let known = self.balances.insert((kernel, vat), written).unwrap_or(0);
        self.note(kernel, Fact::Balance(vat, written - known));
        Ok(())
    }

    /// What was not durable, or is not remembered, never was.
    fn undo(&mut self, kernel: KernelNo, facts: &[Fact], forgotten: bool) {
        for fact in facts.iter().rev() {
            match *fact {
                Fact::Minted(vat) => {
                    self.minted -= MINTED;
                    self.balances.remove(&(kernel, vat));
                }
                Fact::Balance(vat, change) => {
                    if let Some(balance) = self.balances.get_mut(&(kernel, vat)) {
                        *balance -= change;
                    }
                }
                Fact::Sent(name) | Fact::Credited(name) | Fact::Returned(name) | Fact::Answered(name) => {
                    let Some(payment) = self.payments.get_mut(&name) else { continue };
                    match fact {
                        Fact::Sent(_) => payment.sent = false,
                        Fact::Credited(_) => payment.credited = false,
                        Fact::Returned(_) => payment.returned = false,
                        _ => payment.answered = false,
                    }
                    payment.forgotten |= forgotten;
                }
            }
        }
    }

    /// The purses in a store are what is known of them. Returns their sum.
    fn purses(&self, kernel: KernelNo, store: &Store) -> Result<Result<i64, String>, StoreFault> {
        let mut sum = 0;
        for (vat, _) in store.scan::<Vats>(&(), None, usize::MAX)? {
            let row = store.get::<VatState>(&(vat, PURSE.to_owned()))?;
            let there: Option<i64> = row.and_then(|text| text.parse().ok());
            let known = self.balances.get(&(kernel, vat)).copied();
            if there != known {
                return Ok(Err(format!(
                    "{vat} of kernel {kernel} has {there:?} in its purse, and should have {known:?}"
                )));
            }
            sum += there.unwrap_or(0);
        }
        Ok(Ok(sum))
    }

    /// All purses, what went with vats that have ended, and what is nowhere, when nobody has forgotten or lied.
    fn sums_up(&self, purses: i64, alive: impl Fn(KernelNo, VatId) -> bool) -> Result<(), String> {
        let ended: i64 =
            self.balances.iter().filter(|((kernel, vat), _)| !alive(*kernel, *vat)).map(|(_, balance)| balance).sum();
        let is_nowhere = |payment: &&Payment| payment.sent && !payment.credited && !payment.returned;
        let nowhere: u64 = self.payments.values().filter(is_nowhere).map(|payment| payment.amount).sum();
        let there = purses + ended + signed(nowhere);
        if !self.any_forgotten && !self.liars && there != signed(self.minted) {
            return Err(format!(
                "{} was minted; {purses} is in purses, {ended} went with vats that ended, {nowhere} is nowhere",
                self.minted
            ));
        }
        Ok(())
    }

    /// A payer that lives knows what has become of each payment.
    fn all_answered(&self, lives: impl Fn(KernelNo, VatId, RunId) -> bool) -> Result<(), String> {
        let open = |payment: &Payment| payment.sent && !payment.answered && !payment.forgotten;
        for (name, payment) in self.payments.iter().filter(|(_, payment)| open(payment)) {
            if payment.payer.is_some_and(|(kernel, vat, run)| lives(kernel, vat, run)) {
                return Err(format!("nobody has told its payer what became of {name}: {payment:?}"));
            }
        }
        Ok(())
    }
}

fn status(machines: &[Machine], kernel: KernelNo, vat: VatId) -> Option<(VatStatus, RunId)> {
    let store = machines.get(kernel)?.node()?.store();
    let status = store.get::<Vats>(&vat).ok()??.status;
    Some((status, store.get::<VatCursors>(&vat).ok()??.run))
}

impl Checker for Money {
    fn name(&self) -> &'static str {
        "money"
    }

    fn see(&mut self, kernel: KernelNo, seen: &Seen, _machines: &[Machine]) -> Result<(), String> {
        match seen {
            Seen::Crank { vat, run, delivery, outcome, fate: CrankFate::Merged } => {
                self.cranked(kernel, (*vat, *run), delivery, outcome)?;
            }
            Seen::Outer(Effect::CallService { methargs, .. }) => {
                if let Some((name, _)) = MessageName::of_payment(&methargs.body) {
                    self.payments.entry(name).or_default().forgotten = true;
                }
            }
            Seen::Committed(commit) => {
                self.facts.entry(kernel).or_default().committed(*commit);
            }
            Seen::Ended => {
                self.waiting.retain(|(of, ..), _| *of != kernel);
                let lost = self.facts.entry(kernel).or_default().ended();
                self.undo(kernel, &lost, false);
            }
            Seen::Begun { with: BeginsWith::NoStore | BeginsWith::OldCopy, back_to, .. } => {
                let forgotten = self.facts.entry(kernel).or_default().begun(*back_to);
                self.any_forgotten = true;
                self.undo(kernel, &forgotten, true);
            }
            _ => {}
        }
        Ok(())
    }

    fn all_answered(&mut self, machines: &[Machine]) -> Result<(), String> {
        let mut sum = 0;
        for machine in machines {
            let Some(node) = machine.node() else { continue };
            sum += self.purses(machine.number, node.store()).map_err(|fault| fault.to_string())??;
        }
        self.sums_up(sum, |kernel, vat| status(machines, kernel, vat).is_some())?;
        let lives = |kernel, vat, run| status(machines, kernel, vat) == Some((VatStatus::Running, run));
        Self::all_answered(self, lives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::testing::{crank, name, settled};
    use sturdy_types::{CapData, Message, StateDelta};

    const PAID: &str = "#\"paid\"";
    const GONE: &str = "#{\"#error\":\"[KERNEL:OBJECT_DELETED] it is gone\",\"name\":\"Error\"}";
    const LOST: &str = "#{\"#error\":\"[KERNEL:CONNECTION_LOST] who knows\",\"name\":\"Error\"}";
    const ANSWER: VRef = VRef::PromiseExport(1);

    fn checker() -> Money {
        Money::new(&Plan::from_seed(1).without(Fault::Liars))
    }

    fn purse(balance: &str) -> StateDelta {
        StateDelta { writes: vec![(PURSE.into(), Some(balance.into()))], holds: Vec::new() }
    }

    fn message(amount: u64) -> Message<VRef> {
        let body = name(0, 1, 1).as_payment(amount);
        Message { methargs: CapData { body, slots: Vec::new() }, result: Some(ANSWER) }
    }

    fn pays(amount: u64, left: &str) -> (KernelNo, Seen) {
        let send = Syscall::Send { target: VRef::Import(1), message: message(amount) };
        let outcome = Outcome { syscalls: vec![send], state: purse(left), ..Outcome::default() };
        (0, crank(1, Delivery::BringOutYourDead, outcome, CrankFate::Merged))
    }

    fn gets(amount: u64, has: &str) -> (KernelNo, Seen) {
        let delivery = Delivery::Message { target: VRef::ROOT, message: message(amount) };
        (1, crank(2, delivery, Outcome { state: purse(has), ..Outcome::default() }, CrankFate::Merged))
    }

    fn hears(rejected: bool, body: &str, has: Option<&str>) -> (KernelNo, Seen) {
        let delivery = Delivery::Notify(vec![settled(ANSWER, rejected, body, &[])]);
        let state = has.map(purse).unwrap_or_default();
        (0, crank(1, delivery, Outcome { state, ..Outcome::default() }, CrankFate::Merged))
    }

    /// Everything but the last is right.
    fn last(seen: &[(KernelNo, Seen)]) -> Result<(), String> {
        let mut checker = checker();
        let (last, before) = seen.split_last().expect("there is one");
        for (kernel, seen) in before {
            checker.see(*kernel, seen, &[]).expect("nothing is wrong yet");
        }
        checker.see(last.0, &last.1, &[])
    }

    #[test]
    fn a_payment_arrives_once() {
        assert!(last(&[pays(7, "93"), gets(7, "107")]).is_ok());
        assert!(last(&[pays(7, "93"), gets(7, "107"), gets(7, "114")]).is_err());
        assert!(last(&[pays(7, "93"), gets(8, "108")]).is_err(), "more than was sent");
        assert!(last(&[gets(7, "107")]).is_err(), "nobody has sent it");
        assert!(last(&[pays(7, "93"), gets(7, "107"), (1, Seen::Ended), gets(7, "107")]).is_ok(), "it was undone");
        let durable = [pays(7, "93"), gets(7, "107"), (1, Seen::Committed(1)), (1, Seen::Ended), gets(7, "107")];
        assert!(last(&durable).is_err());
    }

    #[test]
    fn a_payment_goes_back_or_arrives() {
        assert!(last(&[pays(7, "93"), hears(true, GONE, Some("100"))]).is_ok());
        assert!(last(&[pays(7, "93"), hears(true, GONE, None)]).is_err(), "it is not put back");
        assert!(last(&[pays(7, "93"), gets(7, "107"), hears(true, GONE, Some("100"))]).is_err());
        assert!(last(&[pays(7, "93"), hears(true, GONE, Some("100")), gets(7, "107")]).is_err());
        assert!(last(&[pays(7, "93"), gets(7, "107"), hears(true, LOST, None)]).is_ok());
        assert!(last(&[pays(7, "93"), hears(true, LOST, Some("100"))]).is_err(), "nobody knows whether it arrived");
        assert!(last(&[pays(7, "93"), gets(7, "107"), hears(false, PAID, None)]).is_ok());
        assert!(last(&[pays(7, "93"), hears(false, PAID, None)]).is_err(), "it never arrived");
    }

    #[test]
    fn what_a_store_has_forgotten_is_not_judged() {
        let lost = Seen::Begun {
            with: BeginsWith::NoStore,
            process: crate::seen::Process { branch: 1, boot: 2 },
            incarnation: crate::checkers::testing::incarnation(9),
            back_to: 0,
        };
        let arrived = [pays(7, "93"), gets(7, "107"), (1, Seen::Committed(1)), (1, Seen::Ended), (1, lost)];
        assert!(last(&[&arrived[..], &[hears(false, PAID, None)]].concat()).is_ok());
    }

    #[test]
    fn purses_add_up() {
        let after = |seen: &[(KernelNo, Seen)]| {
            let mut checker = checker();
            for (kernel, seen) in seen {
                checker.see(*kernel, seen, &[]).expect("nothing is wrong");
            }
            checker
        };
        let sums_up = |checker: &Money, purses| checker.sums_up(purses, |_, _| true);
        let paid = after(&[pays(7, "93"), gets(7, "107")]);
        assert!(sums_up(&paid, 200).is_ok());
        assert!(sums_up(&paid, 199).is_err());
        assert!(sums_up(&paid, 201).is_err());
        assert!(paid.sums_up(93, |kernel, _| kernel == 0).is_ok(), "what the other had went with it");
        assert!(sums_up(&after(&[pays(7, "93")]), 93).is_ok(), "it is nowhere");
        assert!(paid.all_answered(|_, _, _| true).is_err());
        assert!(paid.all_answered(|_, _, _| false).is_ok(), "the payer's heap is gone");
        assert!(after(&[pays(7, "93"), hears(true, LOST, None)]).all_answered(|_, _, _| true).is_ok());
    }
}
