//! The key of a kernel, and the words from which it can be made again (wire-protocol §4.1).

use crate::peer::PeerId;
use bip39::{Language, Mnemonic};
use ed25519_dalek::SigningKey;
use std::fmt;
use zeroize::Zeroizing;

/// Who a kernel is. Its secret is wiped from memory when it is dropped.
pub struct Identity {
    secret: Secret,
    peer: PeerId,
}

/// From what the key is made. Words cannot be made from a seed, so whoever has words keeps them.
enum Secret {
    Words(Mnemonic, Zeroizing<[u8; 32]>),
    Seed(Zeroizing<[u8; 32]>),
}

/// Why words are no mnemonic. The words themselves are never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MnemonicError {
    /// Wrong number of words.
    #[error("invalid BIP-39 mnemonic: it has {0} words; there must be 12, 15, 18, 21 or 24")]
    WordCount(usize),
    /// A word that is not in the list.
    #[error("invalid BIP-39 mnemonic: word {0} is not in the English list; look for a misspelling")]
    UnknownWord(usize),
    /// All words exist, but not together.
    #[error("invalid BIP-39 mnemonic: its check does not hold; a word is wrong, or two are swapped")]
    Checksum,
}

/// Why a text is no seed. The text itself is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// Nothing at all.
    #[error("the key seed is empty; it must have 64 hex digits")]
    Empty,
    /// Too long.
    #[error("the key seed has {0} characters; it must have 64 hex digits")]
    TooLong(usize),
    /// Half of a byte.
    #[error("the key seed has an odd number of hex digits; one is missing")]
    Odd,
    /// Something that is no hex digit.
    #[error("the key seed has something at position {0} that is no hex digit")]
    NotHex(usize),
}

impl Identity {
    /// A new identity of random bits, which must be good ones. It has 24 words.
    pub fn generate(random: &Zeroizing<[u8; 32]>) -> Self {
        let words = Mnemonic::from_entropy_in(Language::English, random.as_slice()).expect("32 bytes are 24 words");
        Self::of_words(words)
    }

    /// The identity that these words stand for. Capital letters and extra blanks do not matter.
    pub fn from_mnemonic(words: &str) -> Result<Self, MnemonicError> {
        let words: Vec<Zeroizing<String>> =
            words.split_whitespace().map(|w| Zeroizing::new(w.to_lowercase())).collect();
        if !matches!(words.len(), 12 | 15 | 18 | 21 | 24) {
            return Err(MnemonicError::WordCount(words.len()));
        }
        let mut text = Zeroizing::new(String::with_capacity(words.iter().map(|word| word.len() + 1).sum()));
        for word in &words {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        match Mnemonic::parse_in_normalized(Language::English, &text) {
            Ok(words) => Ok(Self::of_words(words)),
            Err(bip39::Error::UnknownWord(index)) => Err(MnemonicError::UnknownWord(index + 1)),
            Err(_) => Err(MnemonicError::Checksum),
        }
    }

    /// The identity of a key seed. It has no words.
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let peer = peer_of(&seed);
        Self { secret: Secret::Seed(seed), peer }
    }

    /// The identity of a key seed in hex. A shorter text is filled up with zeros at its end, as in the reference.
    pub fn from_seed_hex(text: &str) -> Result<Self, SeedError> {
        let digits = text.as_bytes();
        match digits.len() {
            0 => return Err(SeedError::Empty),
            long @ 65.. => return Err(SeedError::TooLong(long)),
            _ => {}
        }
        let mut seed = Zeroizing::new([0; 32]);
        for (index, &digit) in digits.iter().enumerate() {
            let value = char::from(digit).to_digit(16).ok_or(SeedError::NotHex(index + 1))?;
            let value = u8::try_from(value).expect("a hex digit is a byte");
            seed[index / 2] |= if index % 2 == 0 { value << 4 } else { value };
        }
        if digits.len() % 2 == 1 {
            return Err(SeedError::Odd);
        }
        Ok(Self::from_seed(seed))
    }

    /// The name of this kernel.
    pub const fn peer_id(&self) -> &PeerId {
        &self.peer
    }

    /// The seed of the Ed25519 key. It is the secret.
    pub fn reveal_seed(&self) -> Zeroizing<[u8; 32]> {
        match &self.secret {
            Secret::Words(_, seed) | Secret::Seed(seed) => seed.clone(),
        }
    }

    /// The same in hex.
    pub fn reveal_seed_hex(&self) -> Zeroizing<String> {
        let seed = self.reveal_seed();
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in seed.iter() {
            for half in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(half), 16).expect("half a byte is a hex digit"));
            }
        }
        text
    }

    /// The words from which it can be made again, if it has any. They are the secret.
    pub fn reveal_mnemonic(&self) -> Option<Zeroizing<String>> {
        let Secret::Words(words, _) = &self.secret else { return None };
        let mut text = Zeroizing::new(String::with_capacity(24 * 9));
        for word in words.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        Some(text)
    }

    fn of_words(words: Mnemonic) -> Self {
        let long = Zeroizing::new(words.to_seed_normalized(""));
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(&long[..32]);
        let peer = peer_of(&seed);
        Self { secret: Secret::Words(words, seed), peer }
    }
}

fn peer_of(seed: &[u8; 32]) -> PeerId {
    PeerId::of(SigningKey::from_bytes(seed).verifying_key().to_bytes())
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.peer)
    }
}
