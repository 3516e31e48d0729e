//! Which addresses may be dialled for a peer (W-18). Sans-IO.
//!
//! What always holds: an address is dialled only for the peer that it names; nothing in a hint reaches nearer than the
//! configuration permits; addresses that only special hosts have (link-local, multicast, unspecified) are never dialled
//! for a hint. Names are looked up later, and what they stand for passes the same test (`gate`).

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Hints that are looked at for one peer.
pub const MAX_HINTS_PER_PEER: usize = 32;
/// Bytes of one hint.
pub const MAX_HINT_BYTES: usize = 512;

/// How near an address may be that a peer or a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Reach {
    /// Only what the whole internet can reach.
    #[default]
    Internet,
    /// Private networks too (`10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `100.64.0.0/10`, `fc00::/7`).
    PrivateNetworks,
    /// This host too (`127.0.0.0/8`, `::1`, memory).
    Host,
}

impl Reach {
    /// The reach of a kernel that listens on these addresses: whoever can be reached from a network may reach into it. A
    /// kernel that listens on this host only is an experiment on this host; one that listens on a private network, or on
    /// all, may dial private networks.
    pub fn implied_by(listen: &[String]) -> Self {
        let of = |text: &String| match text.parse::<Multiaddr>().ok().as_ref().and_then(place) {
            Some(Place::Host) => Self::Host,
            Some(Place::PrivateNetwork) => Self::PrivateNetworks,
            Some(Place::Nowhere) if text.contains("/0.0.0.0/") || text.contains("/::/") => Self::PrivateNetworks,
            _ => Self::Internet,
        };
        listen.iter().map(of).max().unwrap_or_default()
    }
}

/// What is said of an address that is nearer than permitted: something can be done about that.
pub const TOO_NEAR: &str = "is not to be dialled on the word of others";

/// Why a hint is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HintRefused {
    /// It is no multiaddr.
    #[error("`{0}` is no address")]
    NotAnAddress(String),
    /// It has too many bytes.
    #[error("an address of {0} bytes, the limit is {MAX_HINT_BYTES}")]
    TooLong(usize),
    /// It names no peer, so that nobody could say whose it is.
    #[error("`{0}` does not end with /p2p/ and a peer id")]
    NoPeer(String),
    /// It leads through relays one after another.
    #[error("`{0}` leads through more than one relay")]
    NestedRelays(String),
    /// It is nearer than permitted.
    #[error("`{0}` {TOO_NEAR}: it is {1}")]
    TooNear(String, &'static str),
}

/// Where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Internet,
    PrivateNetwork,
    Host,
    /// No host that a hint could mean.
    Nowhere,
}

impl Place {
    pub(crate) fn is_within(self, reach: Reach) -> bool {
        match self {
            Self::Internet => true,
            Self::PrivateNetwork => reach >= Reach::PrivateNetworks,
            Self::Host => reach >= Reach::Host,
            Self::Nowhere => false,
        }
    }

    const fn told(self) -> &'static str {
        match self {
            Self::Internet => "on the internet",
            Self::PrivateNetwork => "in a private network",
            Self::Host => "on this host",
            Self::Nowhere => "no address of a host",
        }
    }
}

/// The host and the port that `address` begins with.
pub(crate) fn socket(address: &Multiaddr) -> Option<(IpAddr, u16)> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some((ip, port)),
        _ => None,
    }
}

/// Where the first host of `address` is; nothing if that takes looking up a name.
pub(crate) fn place(address: &Multiaddr) -> Option<Place> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(place_of(IpAddr::V4(ip))),
        Protocol::Ip6(ip) => Some(place_of(IpAddr::V6(ip))),
        Protocol::Memory(_) => Some(Place::Host),
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_) => None,
        _ => Some(Place::Nowhere),
    }
}

/// Where this host is.
pub(crate) fn place_of(ip: IpAddr) -> Place {
    match ip {
        IpAddr::V4(ip) => place_of_v4(ip),
        IpAddr::V6(ip) => place_of_v6(ip),
    }
}

fn place_of_v4(ip: Ipv4Addr) -> Place {
    let [a, b, ..] = ip.octets();
    if ip.is_loopback() {
        Place::Host
    } else if ip.is_private() || (a == 100 && b & 0xc0 == 64) {
        Place::PrivateNetwork
    } else if a == 0 || a >= 224 || ip.is_link_local() {
        Place::Nowhere
    } else {
        Place::Internet
    }
}

fn place_of_v6(ip: Ipv6Addr) -> Place {
    let segments = ip.segments();
    let low = Ipv4Addr::from(u32::from(segments[6]) << 16 | u32::from(segments[7]));
    if ip.is_loopback() {
        Place::Host
    } else if let Some(v4) = ip.to_ipv4_mapped() {
        place_of_v4(v4)
    } else if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        // Translated to IPv4 on the way.
        place_of_v4(low)
    } else if segments[0] == 0x2002 {
        place_of_v4(Ipv4Addr::from(u32::from(segments[1]) << 16 | u32::from(segments[2])))
    } else if segments[0] & 0xfe00 == 0xfc00 {
        Place::PrivateNetwork
    } else if segments[0] & 0xe000 == 0x2000 {
        Place::Internet
    } else {
        Place::Nowhere
    }
}

/// What may be dialled for a peer, in order, and what was refused.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    pub(crate) dial: Vec<Multiaddr>,
    pub(crate) refused: Vec<HintRefused>,
}

/// Direct addresses first, then through relays: those that the hints name, then our own. `own_relays` end with the
/// relay's peer id and were configured here, so they may be anywhere.
pub(crate) fn candidates(peer: PeerId, hints: &[String], own_relays: &[Multiaddr], reach: Reach) -> Candidates {
    let mut found = Candidates::default();
    let mut relays = Vec::new();
    for hint in hints.iter().take(MAX_HINTS_PER_PEER) {
        match understand(peer, hint, reach) {
            Ok(Hint::Direct(address)) => found.dial.push(address),
            Ok(Hint::Relay(address)) => relays.push(address),
            Err(why) => found.refused.push(why),
        }
    }
    for relay in relays.iter().chain(own_relays) {
        // A relay is not reached through itself.
        if relay.iter().last() != Some(Protocol::P2p(peer)) {
            found.dial.push(relay.clone().with(Protocol::P2pCircuit).with(Protocol::P2p(peer)));
        }
    }
    let mut seen = BTreeSet::new();
    found.dial.retain(|address| seen.insert(address.to_vec()));
    found
}

enum Hint {
    Direct(Multiaddr),
    Relay(Multiaddr),
}

fn understand(peer: PeerId, hint: &str, reach: Reach) -> Result<Hint, HintRefused> {
    if hint.len() > MAX_HINT_BYTES {
        return Err(HintRefused::TooLong(hint.len()));
    }
    let address: Multiaddr = hint.parse().map_err(|_| HintRefused::NotAnAddress(hint.to_owned()))?;
    if let Some(place) = place(&address)
        && !place.is_within(reach)
    {
        return Err(HintRefused::TooNear(hint.to_owned(), place.told()));
    }
    let relays = address.iter().filter(|part| *part == Protocol::P2pCircuit).count();
    let Some(Protocol::P2p(last)) = address.iter().last() else { return Err(HintRefused::NoPeer(hint.to_owned())) };
    match (relays, last == peer) {
        (0 | 1, true) => Ok(Hint::Direct(address)),
        (0, false) => Ok(Hint::Relay(address)),
        _ => Err(HintRefused::NestedRelays(hint.to_owned())),
    }
}

#[cfg(test)]
mod tests;
