//! The relays that were asked for a place, and what they said last.
//!
//! What always holds: that a relay gives no place is news once, until it has given one. Deliberately elsewhere: when it is
//! asked again (`sturdy-transport`).

/// What a relay said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RelayStanding {
    /// Nothing yet.
    #[default]
    Asked,
    /// That it keeps a place.
    Place,
    /// That it keeps none, or it was not reached, for this reason. It is asked again and again.
    NoPlace(String),
}

/// A relay that this kernel is to be found at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayInfo {
    /// Its address, which ends with its peer id.
    pub relay: String,
    /// What it said last.
    pub standing: RelayStanding,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<RelayInfo>);

impl Places {
    pub(crate) fn new(relays: &[String]) -> Self {
        let asked = |relay: &String| RelayInfo { relay: relay.clone(), standing: RelayStanding::Asked };
        Self(relays.iter().map(asked).collect())
    }

    pub(crate) fn all(&self) -> &[RelayInfo] {
        &self.0
    }

    /// The relay with this peer id keeps a place, under whichever of its addresses it was asked.
    pub(crate) fn reserved(&mut self, peer: &str) {
        for entry in self.0.iter_mut().filter(|entry| peer_of(&entry.relay) == peer) {
            entry.standing = RelayStanding::Place;
        }
    }

    /// This one keeps none. Returns whether that is news.
    pub(crate) fn lost(&mut self, relay: &str, why: &str) -> bool {
        // It may have been typed in another spelling than the transport's.
        let index = self.0.iter().position(|entry| entry.relay == relay);
        let index = index.or_else(|| self.0.iter().position(|entry| peer_of(&entry.relay) == peer_of(relay)));
        let Some(index) = index else { return true };
        let before = std::mem::replace(&mut self.0[index].standing, RelayStanding::NoPlace(why.to_owned()));
        !matches!(before, RelayStanding::NoPlace(_))
    }
}

fn peer_of(address: &str) -> &str {
    address.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_with_a_relay_is_news_once_until_it_has_given_a_place() {
        let (tcp, udp, other) =
            ("/ip4/192.0.2.1/tcp/1/p2p/A", "/ip4/192.0.2.1/udp/1/quic-v1/p2p/A", "/dns4/b/tcp/1/p2p/B");
        let mut places = Places::new(&[tcp, udp, other].map(str::to_owned));
        let standing = |places: &Places| places.all().iter().map(|info| info.standing.clone()).collect::<Vec<_>>();
        let no = |why: &str| RelayStanding::NoPlace(why.to_owned());
        assert_eq!(standing(&places), vec![RelayStanding::Asked; 3]);
        assert!(places.lost(udp, "refused"));
        assert!(!places.lost(udp, "refused") && !places.lost(udp, "silent"), "the last cause is only shown");
        assert_eq!(standing(&places), [RelayStanding::Asked, no("silent"), RelayStanding::Asked]);
        places.reserved("A");
        assert_eq!(standing(&places), [RelayStanding::Place, RelayStanding::Place, RelayStanding::Asked]);
        assert!(places.lost(tcp, "gone") && places.lost("/dns/b/tcp/1/p2p/B", "none") && !places.lost(other, "none"));
        assert_eq!(standing(&places), [no("gone"), RelayStanding::Place, no("none")]);
    }
}
