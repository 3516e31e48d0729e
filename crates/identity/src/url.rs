//! The check of an OCAP URL that a person has pasted, before anybody dials.

use crate::peer::{PeerId, PeerIdError};
use sturdy_types::{OcapUrl, OcapUrlError};

/// What is wrong with a URL. It never repeats the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlMistake {
    /// Its form.
    #[error(transparent)]
    Form(#[from] OcapUrlError),
    /// Its peer id.
    #[error("the OCAP URL names the peer '{peer}': {why}")]
    Peer {
        /// What stands there.
        peer: String,
        /// What is wrong with it.
        why: PeerIdError,
    },
}

/// Reads an OCAP URL whose peer id is one.
pub fn parse_url(text: &str) -> Result<(OcapUrl, PeerId), UrlMistake> {
    let url = OcapUrl::parse(text)?;
    match url.peer.parse() {
        Ok(peer) => Ok((url, peer)),
        Err(why) => Err(UrlMistake::Peer { peer: url.peer.chars().take(80).collect(), why }),
    }
}
