//! The addresses that an operator gives: to listen on, of relays, under which others reach us, and where a peer is. Each
//! mistake is told before anything is begun or kept.
//!
//! What always holds: what is let through has the form that it needs for its purpose; whether it works shows when it is
//! used. Not here: the addresses that a URL or a peer names, of which the bad ones are passed over (`addresses`, `found`).

use crate::addresses::{MAX_HINT_BYTES, Place, place};
use crate::found::MAX_KEPT;
use crate::start::StartError;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use sturdy_types::redact_urls;

/// Addresses under which others reach us, at most.
const MAX_ANNOUNCED: usize = 8;

/// Why addresses that were given for a peer are not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressRefused {
    /// The peer is none.
    #[error("`{0}` is no peer id; one begins with 12D3KooW")]
    NotAPeer(String),
    /// More than are kept for a peer.
    #[error("{0} addresses for one peer, the limit is {MAX_KEPT}")]
    TooMany(usize),
    /// One is too long to be looked at.
    #[error("an address of {0} bytes, the limit is {MAX_HINT_BYTES}")]
    TooLong(usize),
    /// One leads nowhere.
    #[error("`{address}` is no way to {peer}: {why}")]
    NoWay {
        /// The address.
        address: String,
        /// The peer.
        peer: String,
        /// Why not.
        why: &'static str,
    },
}

/// Whether each of these can be dialled for `peer`: an address with its id at the end, or the way to a relay. `us` is our
/// own peer id, where it is known.
pub fn check_addresses(us: Option<&str>, peer: &str, addresses: &[String]) -> Result<(), AddressRefused> {
    let tamed = |text: &str| redact_urls(&text.chars().take(MAX_HINT_BYTES).collect::<String>()).into_owned();
    let Some(id) = peer.parse::<PeerId>().ok().filter(|id| id.to_string() == peer) else {
        return Err(AddressRefused::NotAPeer(tamed(peer)));
    };
    if addresses.len() > MAX_KEPT {
        return Err(AddressRefused::TooMany(addresses.len()));
    }
    for text in addresses {
        if text.len() > MAX_HINT_BYTES {
            return Err(AddressRefused::TooLong(text.len()));
        }
        if let Err(why) = way_to_peer(us.and_then(|us| us.parse().ok()), id, text) {
            return Err(AddressRefused::NoWay { address: tamed(text), peer: peer.to_owned(), why });
        }
    }
    Ok(())
}

/// Directly, or to a relay (told with or without the rest of the way).
fn way_to_peer(us: Option<PeerId>, peer: PeerId, text: &str) -> Result<(), &'static str> {
    let mut way: Multiaddr = text.parse().map_err(|_| "it is no multiaddr; one looks like /ip4/192.0.2.1/tcp/4001")?;
    if leads_through_a_relay(&way) {
        if way.pop() != Some(Protocol::P2p(peer)) {
            return Err("it leads through a relay to somebody else");
        }
        if way.pop() != Some(Protocol::P2pCircuit) || leads_through_a_relay(&way) {
            return Err("it leads through more than one relay");
        }
        if way.iter().last() == Some(Protocol::P2p(peer)) {
            return Err("a peer is not its own relay");
        }
    }
    match way.pop() {
        Some(Protocol::P2p(last)) if Some(last) == us => Err("it leads to this kernel itself"),
        Some(Protocol::P2p(_)) => why_nobody_dials(&way).map_or(Ok(()), Err),
        _ => Err("it does not end with /p2p/ and the id of the peer, or of a relay"),
    }
}

/// An address to listen on, without our peer id.
pub(crate) fn listen(text: &str, us: PeerId) -> Result<Multiaddr, StartError> {
    let mut address = parsed(text)?;
    if address.iter().last() == Some(Protocol::P2p(us)) {
        address.pop();
    }
    let why = match address.iter().next() {
        _ if !leads_through_a_relay(&address) && names_a_peer(&address) => Some("it names another peer"),
        Some(Protocol::Memory(_)) => None,
        Some(Protocol::Ip4(_) | Protocol::Ip6(_)) => why_no_port(&address),
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)) => {
            Some("a name cannot be listened on, only an address of this machine, for instance /ip4/0.0.0.0/tcp/4001")
        }
        _ => Some("it does not begin with an address of this machine, for instance /ip4/0.0.0.0/tcp/4001"),
    };
    let relayed = leads_through_a_relay(&address).then_some("it leads through a relay, which is given as a relay");
    match relayed.or(why) {
        Some(why) => Err(StartError::Listen { address: text.to_owned(), why: why.to_owned() }),
        None => Ok(address),
    }
}

/// Where a relay is that we trust, with its peer id at the end.
pub(crate) fn relay(text: &str, us: PeerId) -> Result<Multiaddr, StartError> {
    let address = parsed(text)?;
    let mut way = address.clone();
    let Some(Protocol::P2p(relay)) = way.pop() else {
        return Err(StartError::RelayWithoutPeer(text.to_owned()));
    };
    let why = if relay == us {
        Some("it is this kernel itself")
    } else if leads_through_a_relay(&address) {
        Some("it leads through another relay")
    } else {
        why_nobody_dials(&way)
    };
    match why {
        Some(why) => Err(StartError::Relay { address: text.to_owned(), why }),
        None => Ok(address),
    }
}

/// Addresses under which others reach us, without our peer id.
pub(crate) fn announced(texts: &[String], us: PeerId) -> Result<Vec<Multiaddr>, StartError> {
    if texts.len() > MAX_ANNOUNCED {
        return Err(StartError::TooManyAnnounced { given: texts.len(), limit: MAX_ANNOUNCED });
    }
    texts.iter().map(|text| one_announced(text, us)).collect()
}

fn one_announced(text: &str, us: PeerId) -> Result<Multiaddr, StartError> {
    let mut address = parsed(text)?;
    if address.iter().last() == Some(Protocol::P2p(us)) {
        address.pop();
    }
    let why = if leads_through_a_relay(&address) {
        Some("it leads through a relay, which is given as a relay")
    } else if names_a_peer(&address) {
        Some("it names another peer")
    } else {
        why_nobody_dials(&address)
    };
    match why {
        Some(why) => Err(StartError::Announced { address: text.to_owned(), why }),
        None => Ok(address),
    }
}

fn parsed(text: &str) -> Result<Multiaddr, StartError> {
    let address: Multiaddr = text.parse().map_err(|_| StartError::NotAnAddress(text.to_owned()))?;
    // The empty text is an address of no parts.
    if address.is_empty() { Err(StartError::NotAnAddress(text.to_owned())) } else { Ok(address) }
}

/// Why we speak to no host in this way, which is told without the peer id at its end.
fn why_nobody_dials(way: &Multiaddr) -> Option<&'static str> {
    let parts: Vec<Protocol<'_>> = way.iter().collect();
    let Some((host, rest)) = parts.split_first() else { return Some("it leads nowhere: there is no host in it") };
    if place(way) == Some(Place::Nowhere) {
        return Some("it begins with no address of a host and no name");
    }
    match (host, rest) {
        // A name may stand for whole addresses.
        (Protocol::Memory(_) | Protocol::Dnsaddr(_), []) => None,
        (Protocol::Memory(_), _) => Some("nothing follows a place in memory"),
        (_, [Protocol::Tcp(0) | Protocol::Udp(0), ..]) => Some("port 0 is no port that others can dial"),
        (
            _,
            [Protocol::Tcp(_)]
            | [Protocol::Tcp(_), Protocol::Ws(_) | Protocol::Wss(_)]
            | [Protocol::Tcp(_), Protocol::Tls, Protocol::Ws(_)]
            | [Protocol::Tcp(_), Protocol::Tls, Protocol::Sni(_), Protocol::Ws(_)]
            | [Protocol::Udp(_), Protocol::QuicV1],
        ) => None,
        (_, [Protocol::Tcp(_), ..]) => Some("after the tcp port there may be /ws, /wss or /tls/ws, and nothing else"),
        (_, [Protocol::Udp(_), ..]) => Some("after the udp port there must be /quic-v1, and nothing else"),
        _ => Some("after the host there must be /tcp/ or /udp/ and a port"),
    }
}

fn why_no_port(address: &Multiaddr) -> Option<&'static str> {
    match (address.iter().nth(1), address.iter().nth(2)) {
        (Some(Protocol::Tcp(_)), _) | (Some(Protocol::Udp(_)), Some(Protocol::QuicV1)) => None,
        (Some(Protocol::Udp(_)), _) => Some("after the udp port there must be /quic-v1"),
        _ => Some("after the host there must be /tcp/ or /udp/ and a port"),
    }
}

fn names_a_peer(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::P2p(_)))
}

fn leads_through_a_relay(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "12D3KooWJBDqsyHQF2MWiCdU4kdqx4zTsSTLRdShg7Ui6CRWB4uc";
    const OTHER: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";

    fn us() -> PeerId {
        US.parse().expect("a peer id")
    }

    fn told(result: Result<impl std::fmt::Debug, StartError>) -> String {
        result.expect_err("a mistake").to_string()
    }

    #[test]
    fn each_mistake_has_its_reason() {
        let through = format!("/ip4/8.8.8.8/tcp/1/p2p/{OTHER}/p2p-circuit");
        for (text, why) in [
            ("", "no address"),
            ("8.8.8.8:1", "no address"),
            ("/ip4/256.0.0.1/tcp/1", "no address"),
            ("/ip4/127.0.0.1/tcp/65536", "no address"),
            ("/dns4/a.example/tcp/1", "a name"),
            ("/tcp/1", "does not begin with"),
            ("/ip4/127.0.0.1", "/tcp/ or /udp/"),
            ("/ip4/127.0.0.1/udp/1", "/quic-v1"),
            (&through, "a relay"),
            (&format!("/ip4/127.0.0.1/tcp/0/p2p/{OTHER}"), "another peer"),
        ] {
            let told = told(listen(text, us()));
            assert!(told.contains(why) && told.contains(text), "{text}: {told}");
        }
        for (text, why) in [
            ("/ip4/8.8.8.8/tcp/1".to_owned(), "/p2p/"),
            (format!("/ip4/8.8.8.8/tcp/1/p2p/{US}"), "itself"),
            (format!("{through}/p2p/{OTHER}"), "another relay"),
            (format!("/ip4/8.8.8.8/tcp/0/p2p/{OTHER}"), "port 0"),
            (format!("/p2p/{OTHER}/p2p/{OTHER}"), "no address of a host"),
            (format!("/ip4/8.8.8.8/tcp/1/http/p2p/{OTHER}"), "/ws"),
            (format!("/ip4/8.8.8.8/udp/1/quic-v1/webtransport/p2p/{OTHER}"), "/quic-v1"),
        ] {
            let told = told(relay(&text, us()));
            assert!(told.contains(why), "{text}: {told}");
        }
        for (text, why) in [
            ("/ip4/0.0.0.0/tcp/1".to_owned(), "no address of a host"),
            ("/dns4/a.example".to_owned(), "/tcp/ or /udp/"),
            ("/dns4/a.example/tcp/0".to_owned(), "port 0"),
            ("/dns4/a.example/tcp/1/https".to_owned(), "/ws"),
            (format!("/ip4/8.8.8.8/tcp/1/p2p/{OTHER}"), "another peer"),
            (through.clone(), "a relay"),
        ] {
            let told = told(announced(std::slice::from_ref(&text), us()));
            assert!(told.contains(why), "{text}: {told}");
        }
        let many = vec!["/ip4/8.8.8.8/tcp/1".to_owned(); MAX_ANNOUNCED + 1];
        assert!(told(announced(&many, us())).contains('9'));
    }

    #[test]
    fn what_is_good_is_let_through() {
        for text in ["/memory/7", "/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"] {
            assert!(listen(text, us()).is_ok(), "{text}");
        }
        let with_our_id = listen(&format!("/ip4/127.0.0.1/tcp/0/ws/p2p/{US}"), us()).expect("a good one");
        assert_eq!(with_our_id.to_string(), "/ip4/127.0.0.1/tcp/0/ws");
        assert!(relay(&format!("/dns4/a.example/tcp/1/p2p/{OTHER}"), us()).is_ok());
        let given = [format!("/dns4/a.example/tcp/1/p2p/{US}"), "/ip4/8.8.8.8/udp/2/quic-v1".to_owned()];
        let texts: Vec<String> = announced(&given, us()).expect("good ones").iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["/dns4/a.example/tcp/1", "/ip4/8.8.8.8/udp/2/quic-v1"]);
    }

    const PEER: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";

    fn given(addresses: &[String]) -> Result<(), AddressRefused> {
        check_addresses(Some(US), PEER, addresses)
    }

    #[test]
    fn an_address_that_nobody_dials_for_a_peer_is_refused_with_its_reason() {
        let relay = format!("/ip4/8.8.8.8/tcp/1/p2p/{OTHER}");
        for (text, why) in [
            (String::new(), "does not end with /p2p/"),
            ("elsewhere".to_owned(), "no multiaddr"),
            ("192.0.2.1:4001".to_owned(), "no multiaddr"),
            (format!("/ip4/300.0.0.1/tcp/1/p2p/{PEER}"), "no multiaddr"),
            ("/ip4/8.8.8.8/tcp/1/p2p/nobody".to_owned(), "no multiaddr"),
            ("/ip4/8.8.8.8/tcp/1".to_owned(), "does not end with /p2p/"),
            (format!("/p2p/{PEER}"), "leads nowhere"),
            (format!("/tcp/1/p2p/{PEER}"), "no address of a host"),
            (format!("/ip4/0.0.0.0/tcp/1/p2p/{PEER}"), "no address of a host"),
            (format!("/ip4/8.8.8.8/p2p/{PEER}"), "/tcp/ or /udp/"),
            (format!("/dns4/a.example/p2p/{PEER}"), "/tcp/ or /udp/"),
            (format!("/ip4/8.8.8.8/tcp/0/p2p/{PEER}"), "port 0"),
            (format!("/ip4/8.8.8.8/udp/1/p2p/{PEER}"), "/quic-v1"),
            (format!("/ip4/8.8.8.8/udp/1/quic/p2p/{PEER}"), "/quic-v1"),
            (format!("/ip4/8.8.8.8/udp/1/webrtc-direct/p2p/{PEER}"), "/quic-v1"),
            (format!("/ip4/8.8.8.8/udp/1/quic-v1/webtransport/p2p/{PEER}"), "/quic-v1"),
            (format!("/ip4/8.8.8.8/tcp/1/http/p2p/{PEER}"), "/ws"),
            (format!("/ip4/8.8.8.8/tcp/1/p2p/{OTHER}/p2p/{PEER}"), "/ws"),
            (format!("/memory/7/tcp/1/p2p/{PEER}"), "memory"),
            (format!("/ip4/8.8.8.8/tcp/1/p2p/{US}"), "this kernel itself"),
            (format!("/ip4/8.8.8.8/tcp/1/p2p/{US}/p2p-circuit/p2p/{PEER}"), "this kernel itself"),
            (format!("{relay}/p2p-circuit"), "somebody else"),
            (format!("{relay}/p2p-circuit/p2p/{OTHER}"), "somebody else"),
            (format!("{relay}/p2p-circuit/p2p/{OTHER}/p2p-circuit/p2p/{PEER}"), "more than one relay"),
            (format!("/ip4/8.8.8.8/tcp/1/p2p/{PEER}/p2p-circuit/p2p/{PEER}"), "its own relay"),
            (format!("/ip4/8.8.8.8/tcp/1/p2p-circuit/p2p/{PEER}"), "does not end with /p2p/"),
        ] {
            // One bad address among good ones is enough.
            let told = given(&[relay.clone(), text.clone()]).expect_err(&text).to_string();
            assert!(told.contains(why) && told.contains(&text), "{text}: {told}");
        }
        assert_eq!(given(&vec![relay.clone(); MAX_KEPT + 1]), Err(AddressRefused::TooMany(MAX_KEPT + 1)));
        let long = format!("/dns4/{}.example/tcp/1/p2p/{PEER}", "x".repeat(MAX_HINT_BYTES));
        assert_eq!(given(std::slice::from_ref(&long)), Err(AddressRefused::TooLong(long.len())));
        for peer in ["", "P", &PEER[1..], &format!("{PEER} ")] {
            assert_eq!(check_addresses(None, peer, &[]), Err(AddressRefused::NotAPeer(peer.to_owned())));
        }
        // What was pasted into the wrong place stays a secret.
        let told = given(&[format!("ocap:zSECRET@{PEER}")]).expect_err("a URL").to_string();
        assert!(!told.contains("SECRET"), "{told}");
    }

    #[test]
    fn what_can_be_dialled_for_a_peer_is_let_through() {
        let hosts = [
            "/ip4/8.8.8.8/tcp/1",
            "/ip4/127.0.0.1/tcp/1",
            "/ip6/::1/udp/2/quic-v1",
            "/dns4/a.example/tcp/443/wss",
            "/dns/a.example/tcp/443/tls/ws",
            "/dns/a.example/tcp/443/tls/sni/b.example/ws",
            "/ip4/8.8.8.8/tcp/1/ws",
            "/dnsaddr/a.example",
            "/memory/7",
        ];
        for host in hosts {
            let direct = format!("{host}/p2p/{PEER}");
            let ways =
                [direct.clone(), format!("{host}/p2p/{OTHER}"), format!("{host}/p2p/{OTHER}/p2p-circuit/p2p/{PEER}")];
            assert_eq!(given(&ways), Ok(()), "{host}");
            // What is let through is what is dialled, if it is within reach.
            let id = PEER.parse().expect("a peer id");
            let dialled = crate::addresses::candidates(id, &ways, &[], crate::addresses::Reach::Host);
            assert!(dialled.refused.is_empty() && dialled.dial.len() == 2, "{dialled:?}");
        }
        assert_eq!(given(&[]), Ok(()));
    }
}
