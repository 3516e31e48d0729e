//! The money of one actor: what is in its purse, and what it has sent and not heard of yet.
//!
//! What always holds: the balance is in the state of the vat, changed in the same crank as what it pays for; what was sent
//! is known to the heap only, so that a heap that is lost never takes it back.

use super::note;
use std::collections::BTreeMap;
use sturdy_types::{CapData, Delivery, Outcome, Resolution, VRef, Verdict};
use sturdy_vat::{StateReader, StateUnreadable};

use super::MessageName;

/// What a new purse holds.
pub const MINTED: u64 = 100;

/// The key of the purse in the state.
pub const PURSE: &str = "purse";

/// Codes after which nobody knows whether a message took effect, and the one that says that it has.
const NOT_BACK: [&str; 4] = ["CONNECTION_LOST", "PEER_RESTARTED", "CONNECTION_CLOSED", "ANSWER_LOST"];

/// Whether the result of a message says that the message itself, which whoever is told it answers at once, has not taken
/// effect: the kernel gives a reason, and it is neither that nobody knows nor that only the answer is lost.
pub fn was_not_delivered(rejected: bool, body: &str) -> bool {
    let code = body.strip_prefix("#{\"#error\":\"[KERNEL:").and_then(|rest| rest.split_once(']'));
    rejected && code.is_some_and(|(code, _)| !NOT_BACK.contains(&code))
}

/// The money that a heap knows of.
#[derive(Debug, Default)]
pub(super) struct Purse {
    balance: u64,
    /// The balance that the state has, or was told.
    noted: Option<u64>,
    /// What was sent, by the promise of its answer.
    sent: BTreeMap<VRef, u64>,
}

impl Purse {
    /// The purse as the state has it, or a new one.
    pub(super) fn open(state: &dyn StateReader) -> Result<Self, StateUnreadable> {
        let noted = state.get(PURSE)?.and_then(|text| text.parse().ok());
        Ok(Self { balance: noted.unwrap_or(MINTED), noted, sent: BTreeMap::new() })
    }

    /// Takes what comes, and what comes back. Returns the answer to what came.
    pub(super) fn learn(&mut self, delivery: &Delivery) -> Vec<Resolution<VRef>> {
        match delivery {
            Delivery::Message { message, .. } => {
                let Some((_, amount)) = MessageName::of_payment(&message.methargs.body) else { return Vec::new() };
                self.balance += amount;
                let paid = |promise| Resolution { promise, rejected: false, value: CapData::plain("#\"paid\"") };
                message.result.map(paid).into_iter().collect()
            }
            Delivery::Notify(batch) => {
                for one in batch {
                    let amount = self.sent.remove(&one.promise).unwrap_or(0);
                    if was_not_delivered(one.rejected, &one.value.body) {
                        self.balance += amount;
                    }
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Takes an amount out, or what is there. Returns how much it was.
    pub(super) fn pay(&mut self, result: VRef, amount: u64) -> u64 {
        let paid = amount.min(self.balance);
        if paid > 0 {
            self.balance -= paid;
            self.sent.insert(result, paid);
        }
        paid
    }

    /// Writes the balance into the state if it has changed.
    pub(super) fn note(&mut self, outcome: &mut Outcome) {
        if outcome.verdict == Verdict::Done && self.noted != Some(self.balance) {
            self.noted = Some(self.balance);
            note(outcome, PURSE.to_owned(), Some(&self.balance.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_comes_back_when_it_did_not_arrive() {
        let error = |code: &str| format!("#{{\"#error\":\"[KERNEL:{code}] why\",\"name\":\"Error\"}}");
        assert!(was_not_delivered(true, &error("OBJECT_DELETED")));
        assert!(was_not_delivered(true, &error("VAT_FATAL:COMPUTE_LIMIT")));
        assert!(!was_not_delivered(true, &error("CONNECTION_LOST")));
        assert!(!was_not_delivered(true, &error("ANSWER_LOST")));
        assert!(was_not_delivered(true, &error("MESSAGE_TOO_LARGE")));
        assert!(!was_not_delivered(true, "#[]"));
        assert!(!was_not_delivered(false, "#\"paid\""));
    }
}
