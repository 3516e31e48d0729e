//! Peer ids: the public key in libp2p's text form (wire-protocol §4.1).

use std::fmt;
use std::str::FromStr;

/// What stands before the 32 bytes of an Ed25519 key: an identity multihash of 36 bytes that is a protobuf with the key
/// type and the key.
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// Bytes of a peer id.
const PEER_ID_BYTES: usize = PREFIX.len() + 32;

/// The most characters that 38 bytes can take.
const MAX_TEXT: usize = 52;

/// The name of a kernel: its public key. Text form `12D3KooW…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 32]);

/// Why a text is no peer id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerIdError {
    /// Nothing at all.
    #[error("the peer id is empty")]
    Empty,
    /// A character that no peer id has.
    #[error("a peer id has only letters and digits without 0, O, I and l; this has '{0}'")]
    Character(char),
    /// Cut off, or something else is attached.
    #[error("a peer id has {MAX_TEXT} characters; this has {0}: perhaps a part is missing, or two texts run together")]
    Length(usize),
    /// Another kind of peer id.
    #[error("this peer id is not of an Ed25519 key; it would begin with '12D3KooW'")]
    OtherKind,
    /// It has the right form, but no key is like this.
    #[error("this peer id has a mistake in it: there is no such key")]
    NoSuchKey,
}

impl PeerId {
    /// The peer id of a public key.
    pub(crate) const fn of(public_key: [u8; 32]) -> Self {
        Self(public_key)
    }

    /// The Ed25519 public key.
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        if text.is_empty() {
            return Err(PeerIdError::Empty);
        }
        if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric() || matches!(c, '0' | 'O' | 'I' | 'l')) {
            return Err(PeerIdError::Character(c));
        }
        if !text.starts_with("12D3KooW") {
            return Err(PeerIdError::OtherKind);
        }
        if text.len() != MAX_TEXT {
            return Err(PeerIdError::Length(text.len()));
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| PeerIdError::NoSuchKey)?;
        let key = bytes.strip_prefix(&PREFIX).and_then(|key| <[u8; 32]>::try_from(key).ok());
        let key = key.ok_or(PeerIdError::NoSuchKey)?;
        ed25519_dalek::VerifyingKey::from_bytes(&key).map_err(|_| PeerIdError::NoSuchKey)?;
        Ok(Self(key))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; PEER_ID_BYTES];
        bytes[..PREFIX.len()].copy_from_slice(&PREFIX);
        bytes[PREFIX.len()..].copy_from_slice(&self.0);
        f.write_str(&bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
