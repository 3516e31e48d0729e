//! Peers that lie, as part of the world: what they want is done, what is for them they hear; and attempts to reach
//! somebody that fail.
//!
//! What always holds: a liar is an end of the network like a kernel, with a number after theirs. Once the world heals,
//! liars are gone: nobody answers for them, and operators have to do something about them.

use super::{Step, World, peer};
use crate::checkers::lines::kernel_of;
use crate::dice::Dice;
use crate::host::Url;
use crate::liar::{self, Around, Deed, Liar};
use crate::plan::{Fault, Plan};
use crate::seen::KernelNo;
use sturdy_kernel::{Event, OnClose, Patience, Request};
use sturdy_types::ConnectionId;

/// Frames that may arrive at once when a liar has said something.
const CARRIED: usize = 10;

/// The liars of a run.
pub(super) fn all(plan: &Plan) -> Vec<Liar> {
    if plan.rate(Fault::Liars) == 0 {
        return Vec::new();
    }
    let mut dice = Dice::new(plan.seed, u64::MAX - 2);
    (0..plan.liars).map(|number| Liar::new(number, &mut dice)).collect()
}

/// How long somebody may be waited for.
pub(super) fn some_patience(dice: &mut Dice) -> Patience {
    let attempts = 1 + dice.below(4) as u64;
    let ms = 1 + dice.below(100_000) as u64;
    Patience { max_attempts: (!dice.once_in(3)).then_some(attempts), give_up_after_ms: dice.once_in(2).then_some(ms) }
}

impl World {
    /// All ends of the network.
    pub(super) fn ends(&self) -> std::ops::Range<KernelNo> {
        0..self.machines.len() + self.liars.len()
    }

    /// The peer id that an end shows.
    pub(super) fn peer_id(&self, end: KernelNo) -> String {
        end.checked_sub(self.machines.len()).map_or_else(|| peer(end), liar::peer)
    }

    /// Hosts hear of texts of liars.
    pub(super) fn introduce_liars(&mut self) {
        for (number, liar) in self.liars.iter().enumerate() {
            let issuer = self.machines.len() + number;
            self.urls.extend((0..3).map(|number| Url { issuer, shown: liar.url(number) }));
        }
    }

    /// Nobody answers there.
    pub(super) fn is_deaf(&mut self, end: KernelNo) -> bool {
        end >= self.machines.len() && (self.healing || self.dice.once_in(6))
    }

    /// Something happens at a liar's end.
    pub(super) fn liar_event(&mut self, number: usize, event: Event) -> Step {
        let liar = &mut self.liars[number];
        let deeds = match event {
            Event::Connected { connection, peer, side } => match kernel_of(&peer) {
                Some(kernel) => liar.connected(connection, kernel, side, &mut self.dice),
                None => Vec::new(),
            },
            Event::Received { connection, frame } => match liar.heard(connection, &frame, &mut self.dice) {
                Ok(deeds) => deeds,
                Err(gained) => return Err(self.violation("only_given", gained)),
            },
            Event::Disconnected { connection } => {
                liar.disconnected(connection);
                Vec::new()
            }
            _ => Vec::new(),
        };
        self.do_for(number, deeds)
    }

    /// A liar does something.
    pub(super) fn a_liar_acts(&mut self) -> Step {
        if self.liars.is_empty() {
            return Ok(());
        }
        let number = self.dice.below(self.liars.len());
        let around = Around { kernels: self.machines.len(), urls: &self.urls };
        let deeds = self.liars[number].act(&around, &mut self.dice);
        let said: Vec<ConnectionId> = deeds
            .iter()
            .filter_map(|deed| if let Deed::Say(id, _) = deed { Some(*id) } else { None })
            .take(1)
            .collect();
        self.do_for(number, deeds)?;
        // It lives next door: what it says does not wait for everything else that is on its way.
        for (line, end) in said.into_iter().flat_map(|line| [(line, 0), (line, 1)]) {
            for _ in 0..self.dice.below(CARRIED) {
                self.carry((line, end))?;
            }
        }
        Ok(())
    }

    fn do_for(&mut self, number: usize, deeds: Vec<Deed>) -> Step {
        if self.healing {
            return Ok(());
        }
        let end = self.machines.len() + number;
        for deed in deeds {
            match deed {
                Deed::Dial(kernel) => self.dial(end, kernel)?,
                Deed::Say(connection, frame) => {
                    self.report.lies += 1;
                    self.network.send(end, connection, frame);
                }
                Deed::HangUp(connection) => {
                    self.liars[number].disconnected(connection);
                    self.break_line(connection, Some(end))?;
                }
            }
        }
        Ok(())
    }

    /// Somebody tries to reach somebody, and fails.
    pub(super) fn an_attempt_fails(&mut self) -> Step {
        let mut wishes = self.network.vain_wishes(self.now);
        wishes.extend(self.network.wishes(self.now));
        match self.dice.pick(&wishes) {
            Some((from, to)) => self.dial_fails(from, to),
            None => Ok(()),
        }
    }

    /// An attempt fails, and goes on to be made only if it is still wanted.
    pub(super) fn dial_fails(&mut self, from: KernelNo, to: KernelNo) -> Step {
        let peer = self.peer_id(to);
        self.event(from, Event::DialFailed { peer: peer.clone() })?;
        let wanted =
            self.machines.get(from).and_then(crate::machine::Machine::node).is_some_and(|node| node.wants(&peer));
        if !wanted {
            self.network.withdraw(from, to);
        }
        Ok(())
    }

    /// Liars are gone for good, and operators know it: each kernel closes, forgets or gives up.
    pub(super) fn silence_liars(&mut self) -> Step {
        for number in 0..self.liars.len() {
            let liar = liar::peer(number);
            for kernel in 0..self.machines.len() {
                let peer = || liar.clone();
                let close = Request::ClosePeer { peer: peer(), pending: OnClose::Discard };
                let patience = Patience { max_attempts: Some(2), give_up_after_ms: None };
                let patience = Request::SetPatience { peer: peer(), patience };
                let orders = match self.dice.below(4) {
                    0 => vec![close],
                    1 => vec![close, Request::ForgetPeer(peer())],
                    2 => vec![patience, Request::ForgetPeer(peer())],
                    _ => vec![patience, Request::GiveUp(peer())],
                };
                for order in orders {
                    let order = self.hosts[kernel].order(order);
                    self.ask(kernel, order)?;
                }
            }
        }
        Ok(())
    }
}
