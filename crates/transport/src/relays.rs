//! The relays at which we keep a place, and when each is asked again. Sans-IO.
//!
//! What always holds: a relay is asked by one listener at a time, and asked again for ever, ever more slowly.

use crate::peers::backoff;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::time::{Duration, Instant};

const BACKOFF_BASE_MILLIS: u64 = 1_000;
const BACKOFF_CAP_MILLIS: u64 = 60_000;

#[derive(Debug)]
pub(crate) struct Relays(Vec<Relay>);

#[derive(Debug)]
struct Relay {
    address: Multiaddr,
    listener: Option<ListenerId>,
    /// Why it was not reached when it was last asked.
    trouble: Option<String>,
    failures: u32,
    retry_at: Option<Instant>,
}

impl Relays {
    pub(crate) fn new(addresses: &[Multiaddr], now: Instant) -> Self {
        let relay = |address: &Multiaddr| Relay {
            address: address.clone(),
            listener: None,
            trouble: None,
            failures: 0,
            retry_at: Some(now),
        };
        Self(addresses.iter().map(relay).collect())
    }

    /// The relays' own addresses.
    pub(crate) fn addresses(&self) -> Vec<Multiaddr> {
        self.0.iter().map(|relay| relay.address.clone()).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|relay| relay.retry_at).min()
    }

    /// A relay to be asked now, and the address to listen on. Whoever asks says the listener or the failure.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(usize, Multiaddr)> {
        let (index, relay) =
            self.0.iter_mut().enumerate().find(|(_, relay)| relay.retry_at.is_some_and(|at| at <= now))?;
        relay.retry_at = None;
        relay.trouble = None;
        Some((index, relay.address.clone().with(Protocol::P2pCircuit)))
    }

    pub(crate) fn asked(&mut self, index: usize, listener: ListenerId) {
        self.0[index].listener = Some(listener);
    }

    /// A place was given by this peer.
    pub(crate) fn reserved(&mut self, relay: PeerId) {
        for entry in self.at(relay) {
            entry.failures = 0;
        }
    }

    /// This peer was not reached. If it is a relay that is being asked, its listener ends without saying so.
    pub(crate) fn not_reached(&mut self, relay: PeerId, why: &str) {
        for entry in self.at(relay) {
            entry.trouble = Some(why.to_owned());
        }
    }

    fn at(&mut self, relay: PeerId) -> impl Iterator<Item = &mut Relay> {
        self.0.iter_mut().filter(move |entry| entry.address.iter().last() == Some(Protocol::P2p(relay)))
    }

    /// The relay of a listener that is gone.
    pub(crate) fn of(&self, listener: ListenerId) -> Option<usize> {
        self.0.iter().position(|relay| relay.listener == Some(listener))
    }

    /// Why a relay was not reached when it was last asked, if that is why it gave no place.
    pub(crate) fn trouble(&mut self, index: usize) -> Option<String> {
        self.0[index].trouble.take()
    }

    /// The place is lost, or was never given: the relay's address, and when it is asked again.
    pub(crate) fn lost(&mut self, index: usize, now: Instant, chance: u64) -> (String, Duration) {
        let relay = &mut self.0[index];
        let wait = backoff(BACKOFF_BASE_MILLIS, BACKOFF_CAP_MILLIS, relay.failures, chance);
        relay.failures = relay.failures.saturating_add(1);
        relay.listener = None;
        relay.retry_at = Some(now + wait);
        (relay.address.to_string(), wait)
    }

    /// Those that wait are asked now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        for relay in &mut self.0 {
            relay.failures = 0;
            relay.retry_at = relay.retry_at.map(|_| now);
        }
    }
}
