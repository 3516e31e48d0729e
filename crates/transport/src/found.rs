//! Where a peer says that it can be reached, and how much of it is believed. Sans-IO.
//!
//! What always holds: a peer is believed only about the host from which it talks to us, on a connection whose key it has
//! proved; nothing out of reach is taken, and never more than a few addresses (W-18). Not here: when it is asked
//! (`driver`), what is kept of it for how long (the host).

use crate::addresses::{MAX_HINT_BYTES, Reach, place_of};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Addresses that one peer is believed.
pub(crate) const MAX_FOUND: usize = 8;
/// Addresses of one peer that are worth keeping. URLs that are being redeemed may name as many more.
pub const MAX_KEPT: usize = 16;
/// Direct ones among them that the peer does not tell (any more).
const MAX_OLD: usize = 4;

/// The host of an address that needs no lookup.
pub(crate) fn host(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        _ => None,
    }
}

/// What is believed of the addresses that `peer` tells while it talks to us from `from`, in order.
pub(crate) fn believed(peer: PeerId, from: IpAddr, told: &[Multiaddr], reach: Reach) -> Vec<String> {
    let is_there = |address: &&Multiaddr| host(address) == Some(from) && place_of(from).is_within(reach);
    let complete = told.iter().filter(is_there).filter_map(|address| complete(peer, address));
    let found: BTreeSet<String> =
        complete.map(|address| address.to_string()).filter(|text| text.len() <= MAX_HINT_BYTES).collect();
    found.into_iter().take(MAX_FOUND).collect()
}

/// A direct address with the peer's id at its end; nothing if it is another's, or nobody can dial it.
fn complete(peer: PeerId, address: &Multiaddr) -> Option<Multiaddr> {
    if !matches!(address.iter().nth(1), Some(Protocol::Tcp(1..) | Protocol::Udp(1..))) {
        return None;
    }
    let ids = address.iter().filter(|part| matches!(part, Protocol::P2p(_) | Protocol::P2pCircuit)).count();
    match (ids, address.iter().last()) {
        (0, _) => Some(address.clone().with(Protocol::P2p(peer))),
        (1, Some(Protocol::P2p(named))) if named == peer => Some(address.clone()),
        _ => None,
    }
}

/// What is worth keeping of the addresses of a peer, at most [`MAX_KEPT`]: those that were just found; then, of those that
/// were known, relays and names, and a few direct ones, for they may still lead there by a way that the peer does not know.
pub fn keep_addresses(peer: &str, known: &[String], found: &[String]) -> Vec<String> {
    let (direct, far): (Vec<&String>, Vec<&String>) = known.iter().partition(|text| is_direct(peer, text));
    let direct = direct.into_iter().filter(|text| !found.contains(text)).take(MAX_OLD);
    let mut seen = BTreeSet::new();
    let all = found.iter().chain(far).chain(direct).filter(|text| seen.insert(text.as_str()));
    all.take(MAX_KEPT).cloned().collect()
}

/// A host of the peer itself, by its number.
fn is_direct(peer: &str, text: &str) -> bool {
    let Ok(address) = text.parse::<Multiaddr>() else { return false };
    let ids = address.iter().filter(|part| matches!(part, Protocol::P2p(_) | Protocol::P2pCircuit)).count();
    let is_its_own = matches!(address.iter().last(), Some(Protocol::P2p(named)) if named.to_string() == peer);
    ids == 1 && is_its_own && host(&address).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEER: &str = "12D3KooWJBDqsyHQF2MWiCdU4kdqx4zTsSTLRdShg7Ui6CRWB4uc";
    const OTHER: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";

    fn told(texts: &[&str], from: &str, reach: Reach) -> Vec<String> {
        let addresses: Vec<Multiaddr> = texts.iter().map(|text| text.parse().expect("an address")).collect();
        believed(PEER.parse().expect("a peer id"), from.parse().expect("a host"), &addresses, reach)
    }

    #[test]
    fn w_18_a_peer_is_believed_about_its_own_host_only() {
        let own = format!("/ip4/8.8.8.8/udp/2/quic-v1/p2p/{PEER}");
        let mixed = [
            "/ip4/8.8.8.8/tcp/1",
            &own,
            "/ip4/9.9.9.9/tcp/1",
            "/dns4/victim.example/tcp/1",
            "/ip4/8.8.8.8/tcp/0",
            "/ip4/8.8.8.8",
            &format!("/ip4/8.8.8.8/tcp/1/p2p/{OTHER}"),
            &format!("/ip4/8.8.8.8/tcp/1/p2p/{OTHER}/p2p-circuit"),
        ];
        assert_eq!(told(&mixed, "8.8.8.8", Reach::Internet), [format!("/ip4/8.8.8.8/tcp/1/p2p/{PEER}"), own.clone()]);
        assert!(told(&["/ip4/127.0.0.1/tcp/1"], "127.0.0.1", Reach::PrivateNetworks).is_empty(), "out of reach");
        let many: Vec<String> = (1..100).map(|port| format!("/ip4/8.8.8.8/tcp/{port}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(told(&many, "8.8.8.8", Reach::Internet).len(), MAX_FOUND);
    }

    #[test]
    fn what_was_found_comes_first_and_little_is_kept_of_what_was() {
        let direct = |port: u16| format!("/ip4/8.8.8.8/tcp/{port}/p2p/{PEER}");
        let relay = format!("/ip4/8.8.8.8/tcp/7/p2p/{OTHER}");
        let name = format!("/dns4/a.example/tcp/7/p2p/{PEER}");
        let known: Vec<String> = (1..7).map(direct).chain([relay.clone(), name.clone()]).collect();
        let kept = keep_addresses(PEER, &known, &[direct(9), direct(2)]);
        assert_eq!(kept, [direct(9), direct(2), relay, name, direct(1), direct(3), direct(4), direct(5)]);
        assert_eq!(keep_addresses(PEER, &kept, &[direct(1)])[0], direct(1));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded_and_settles(
            known in proptest::collection::vec((0u8..4, 1u16..6, 0u8..3), 0..30),
            found in proptest::collection::vec((0u8..4, 1u16..6), 0..=MAX_FOUND),
        ) {
            let text = |(host, port, kind): (u8, u16, u8)| match kind {
                0 => format!("/ip4/8.8.8.{host}/tcp/{port}/p2p/{PEER}"),
                1 => format!("/ip4/8.8.8.{host}/tcp/{port}/p2p/{OTHER}"),
                _ => format!("no address {host}"),
            };
            let known: Vec<String> = known.into_iter().map(text).collect();
            let found: Vec<String> = found.into_iter().map(|(host, port)| text((host, port, 0))).collect();
            let kept = keep_addresses(PEER, &known, &found);
            prop_assert!(kept.len() <= MAX_KEPT);
            prop_assert!(found.iter().all(|text| kept.contains(text)));
            prop_assert!(kept.iter().all(|text| found.contains(text) || known.contains(text)));
            prop_assert_eq!(keep_addresses(PEER, &kept, &found), kept);
        }
    }
}
