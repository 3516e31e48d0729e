//! W-18: what a hint may do.

use super::*;
use proptest::prelude::*;

const PEER: &str = "12D3KooWJBDqsyHQF2MWiCdU4kdqx4zTsSTLRdShg7Ui6CRWB4uc";

fn peer(seed: u8) -> PeerId {
    let key = libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).expect("any seed is a key");
    key.public().to_peer_id()
}

fn found(hints: &[String], reach: Reach) -> (Vec<String>, usize) {
    let found = candidates(PEER.parse().expect("a peer id"), hints, &[], reach);
    (found.dial.iter().map(ToString::to_string).collect(), found.refused.len())
}

#[test]
fn w_18_hints_are_for_their_peer_only() {
    let other = peer(7);
    let own: Multiaddr = format!("/ip4/10.0.0.1/tcp/9/p2p/{}", peer(9)).parse().expect("an address");
    let hints = [
        format!("/ip4/8.8.8.8/tcp/1/p2p/{PEER}"),
        format!("/ip4/9.9.9.9/tcp/1/p2p/{other}"),
        format!("/ip4/9.9.9.9/tcp/1/p2p/{other}/p2p-circuit/p2p/{PEER}"),
        format!("/ip4/9.9.9.9/tcp/1/p2p/{other}/p2p-circuit/p2p/{other}"),
        format!("/ip4/9.9.9.9/tcp/1/p2p/{other}/p2p-circuit/p2p/{other}/p2p-circuit/p2p/{PEER}"),
        "/ip4/8.8.4.4/tcp/1".into(),
        "nonsense".into(),
        format!("/dns4/{}.example/tcp/1/p2p/{PEER}", "x".repeat(600)),
    ];
    let found = candidates(PEER.parse().expect("a peer id"), &hints, std::slice::from_ref(&own), Reach::Internet);
    let dial: Vec<String> = found.dial.iter().map(ToString::to_string).collect();
    assert_eq!(
        dial,
        [
            format!("/ip4/8.8.8.8/tcp/1/p2p/{PEER}"),
            // The hint that names the relay and the one that names the way through it are the same way.
            format!("/ip4/9.9.9.9/tcp/1/p2p/{other}/p2p-circuit/p2p/{PEER}"),
            format!("{own}/p2p-circuit/p2p/{PEER}"),
        ]
    );
    assert_eq!(found.refused.len(), 5, "{:?}", found.refused);
}

#[test]
fn w_18_hints_reach_no_nearer_than_permitted() {
    let host = ["/ip4/127.0.0.1", "/ip6/::1", "/ip4/127.9.9.9", "/ip6/::ffff:127.0.0.1", "/ip6/64:ff9b::7f00:1"];
    let private = [
        "/ip4/10.1.2.3",
        "/ip4/192.168.0.1",
        "/ip4/172.31.0.1",
        "/ip4/100.64.0.1",
        "/ip6/fd00::1",
        "/ip6/::ffff:10.0.0.1",
    ];
    let never =
        ["/ip4/169.254.169.254", "/ip4/0.0.0.0", "/ip4/224.0.0.1", "/ip4/255.255.255.255", "/ip6/fe80::1", "/ip6/::"];
    let internet =
        ["/ip4/8.8.8.8", "/ip4/172.32.0.1", "/ip6/2606:4700::1", "/dns4/example.org", "/ip6/2002:808:808::1"];
    let passed = |places: &[&str], reach| {
        let hints: Vec<String> = places.iter().map(|place| format!("{place}/tcp/1/p2p/{PEER}")).collect();
        found(&hints, reach).0.len()
    };
    for (places, by_reach) in
        [(&host[..], [0, 0, 5]), (&private, [0, 6, 6]), (&never, [0, 0, 0]), (&internet, [5, 5, 5])]
    {
        for (reach, expected) in [Reach::Internet, Reach::PrivateNetworks, Reach::Host].into_iter().zip(by_reach) {
            assert_eq!(passed(places, reach), expected, "{places:?} {reach:?}");
        }
    }
}

#[test]
fn a_flood_of_hints_is_cut() {
    let hints: Vec<String> = (0..500).map(|port| format!("/ip4/8.8.8.8/tcp/{port}/p2p/{PEER}")).collect();
    assert_eq!(found(&hints, Reach::Internet).0.len(), MAX_HINTS_PER_PEER);
}

#[test]
fn reach_follows_from_where_we_listen() {
    let of = |listen: &[&str]| Reach::implied_by(&listen.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(of(&[]), Reach::Internet);
    assert_eq!(of(&["/ip4/8.8.8.8/tcp/1"]), Reach::Internet);
    assert_eq!(of(&["/ip4/0.0.0.0/tcp/1"]), Reach::PrivateNetworks);
    assert_eq!(of(&["/ip6/::/tcp/1"]), Reach::PrivateNetworks);
    assert_eq!(of(&["/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/udp/0/quic-v1"]), Reach::Host);
}

proptest! {
    #[test]
    fn no_text_makes_it_fail(text in ".{0,80}", tail in proptest::bool::ANY) {
        let hint = if tail { format!("{text}/p2p/{PEER}") } else { text };
        let (dial, refused) = found(&[hint], Reach::Host);
        prop_assert_eq!(dial.len() + refused, 1);
    }
}
