//! What an operator is told of connections that come and go.
//!
//! What always holds: whoever is told that a peer was reached is told when it is lost, and not otherwise; a peer that takes
//! connections and ends each without a word, as one does that is closed there, is told of once.

use std::collections::BTreeSet;

/// Peers whose comings and goings are told. The peers in it have records, so it is bounded as those are.
#[derive(Debug, Default)]
pub(crate) struct Steadiness {
    /// Told to be reached.
    reached: BTreeSet<String>,
    /// The last connection ended before the peer had said anything.
    mute: BTreeSet<String>,
}

impl Steadiness {
    /// There is a connection where none was. Whether that is to be told.
    pub(crate) fn connected(&mut self, peer: &str) -> bool {
        !self.mute.contains(peer) && self.reached.insert(peer.to_owned())
    }

    /// The peer has said something for the first time on a connection. Whether it is to be told now that it was reached.
    pub(crate) fn spoke(&mut self, peer: &str) -> bool {
        self.mute.remove(peer) && self.reached.insert(peer.to_owned())
    }

    /// The last connection ended, on which the peer has said something or not. Whether that is to be told.
    pub(crate) fn lost(&mut self, peer: &str, spoke: bool) -> bool {
        if spoke {
            self.mute.remove(peer);
        } else {
            self.mute.insert(peer.to_owned());
        }
        self.reached.remove(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_each_connection_without_a_word_is_told_of_once() {
        let mut steady = Steadiness::default();
        assert!(steady.connected("p"));
        assert!(!steady.spoke("p"), "it was told already");
        assert!(steady.lost("p", true));
        assert!(steady.connected("p"));
        assert!(steady.lost("p", false), "told for the first time");
        for _ in 0..3 {
            assert!(!steady.connected("p"));
            assert!(!steady.lost("p", false));
        }
        assert!(steady.connected("q"), "others are others");
        assert!(!steady.connected("p"));
        assert!(steady.spoke("p"), "now it is really there");
        assert!(steady.lost("p", true));
        assert!(steady.connected("p"));
    }
}
