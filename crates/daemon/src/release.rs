//! Who waits for what, and giving it to them once it is durable (G2).

use crate::handle::{Reply, Settled};
use std::collections::BTreeMap;
use sturdy_node::kernel::{Answer, Effect, Refused, Ticket};
use sturdy_types::CallId;

enum Waiter {
    Answer(Reply<Result<Answer, Refused>>),
    Call(Caller),
}

struct Caller {
    named: bool,
    reply: Reply<Result<Settled, Refused>>,
}

/// Everybody who waits.
#[derive(Default)]
pub(crate) struct Waiters {
    by_ticket: BTreeMap<Ticket, Waiter>,
    by_call: BTreeMap<CallId, Vec<Caller>>,
}

impl Waiters {
    /// Somebody waits for the answer to a request.
    pub(crate) fn answer(&mut self, ticket: Ticket, reply: Reply<Result<Answer, Refused>>) {
        self.by_ticket.insert(ticket, Waiter::Answer(reply));
    }

    /// Somebody waits for the result of a call.
    pub(crate) fn call(&mut self, ticket: Ticket, named: bool, reply: Reply<Result<Settled, Refused>>) {
        self.by_ticket.insert(ticket, Waiter::Call(Caller { named, reply }));
    }

    /// Hands out what a commit released; what is for others goes to `others`. Returns calls whose callers have gone
    /// away without anybody who could ask for the result again.
    pub(crate) fn release(&mut self, outer: Vec<Effect>, mut others: impl FnMut(Effect)) -> Vec<CallId> {
        let mut settled = Vec::new();
        for effect in outer {
            match effect {
                Effect::Answer { ticket, answer } => self.answered(ticket, answer),
                // After the answers: a call that was settled before it was asked for again is told in that same turn.
                Effect::Settled { call, rejected, value } => settled.push(Settled { call, rejected, value }),
                other => others(other),
            }
        }
        let mut given_up = Vec::new();
        for result in settled {
            let call = result.call;
            let Some(callers) = self.by_call.remove(&call) else { continue };
            let mut missed = true;
            for caller in callers {
                missed &= caller.reply.send(Ok(result.clone())).is_err() && !caller.named;
            }
            if missed {
                given_up.push(call);
            }
        }
        given_up
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<Answer, Refused>) {
        // A reply that nobody takes any more is no failure: the asker has gone away.
        match (self.by_ticket.remove(&ticket), answer) {
            (Some(Waiter::Answer(reply)), answer) => drop(reply.send(answer)),
            (Some(Waiter::Call(caller)), Ok(Answer::Called(call))) => {
                self.by_call.entry(call).or_default().push(caller);
            }
            (Some(Waiter::Call(caller)), Err(refused)) => drop(caller.reply.send(Err(refused))),
            (Some(Waiter::Call(_)), Ok(_)) | (None, _) => {}
        }
    }
}
