//! The addresses that an operator gives: to listen on, of relays, and under which others reach us. Each mistake is told
//! before anything is begun.
//!
//! What always holds: what is let through has the form that it needs for its purpose; whether it works shows when it is
//! used.

use crate::addresses::{Place, place};
use crate::start::StartError;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Addresses under which others reach us, at most.
const MAX_ANNOUNCED: usize = 8;

/// An address to listen on.
pub(crate) fn listen(text: &str) -> Result<Multiaddr, StartError> {
    let address = parsed(text)?;
    let why = match address.iter().next() {
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
    let Some(Protocol::P2p(relay)) = address.iter().last() else {
        return Err(StartError::RelayWithoutPeer(text.to_owned()));
    };
    let why = if relay == us {
        Some("it is this kernel itself")
    } else if leads_through_a_relay(&address) {
        Some("it leads through another relay")
    } else {
        why_nobody_dials(&address)
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
    } else if address.iter().any(|part| matches!(part, Protocol::P2p(_))) {
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

fn why_nobody_dials(address: &Multiaddr) -> Option<&'static str> {
    match (address.iter().next(), place(address)) {
        (Some(Protocol::Memory(_)), _) => return None,
        (_, Some(Place::Nowhere)) => return Some("it begins with no address of a host and no name"),
        _ => {}
    }
    match address.iter().nth(1) {
        Some(Protocol::Tcp(0) | Protocol::Udp(0)) => Some("port 0 is no port that others can dial"),
        _ => why_no_port(address),
    }
}

fn why_no_port(address: &Multiaddr) -> Option<&'static str> {
    match (address.iter().nth(1), address.iter().nth(2)) {
        (Some(Protocol::Tcp(_)), _) | (Some(Protocol::Udp(_)), Some(Protocol::QuicV1)) => None,
        (Some(Protocol::Udp(_)), _) => Some("after the udp port there must be /quic-v1"),
        _ => Some("after the host there must be /tcp/ or /udp/ and a port"),
    }
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
        ] {
            let told = told(listen(text));
            assert!(told.contains(why) && told.contains(text), "{text}: {told}");
        }
        for (text, why) in [
            ("/ip4/8.8.8.8/tcp/1".to_owned(), "/p2p/"),
            (format!("/ip4/8.8.8.8/tcp/1/p2p/{US}"), "itself"),
            (format!("{through}/p2p/{OTHER}"), "another relay"),
            (format!("/ip4/8.8.8.8/tcp/0/p2p/{OTHER}"), "port 0"),
            (format!("/p2p/{OTHER}"), "no address of a host"),
        ] {
            let told = told(relay(&text, us()));
            assert!(told.contains(why), "{text}: {told}");
        }
        for (text, why) in [
            ("/ip4/0.0.0.0/tcp/1".to_owned(), "no address of a host"),
            ("/dns4/a.example".to_owned(), "/tcp/ or /udp/"),
            ("/dns4/a.example/tcp/0".to_owned(), "port 0"),
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
            assert!(listen(text).is_ok(), "{text}");
        }
        assert!(relay(&format!("/dns4/a.example/tcp/1/p2p/{OTHER}"), us()).is_ok());
        let given = [format!("/dns4/a.example/tcp/1/p2p/{US}"), "/ip4/8.8.8.8/udp/2/quic-v1".to_owned()];
        let texts: Vec<String> = announced(&given, us()).expect("good ones").iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["/dns4/a.example/tcp/1", "/ip4/8.8.8.8/udp/2/quic-v1"]);
    }
}
