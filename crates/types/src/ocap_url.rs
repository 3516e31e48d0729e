//! OCAP URLs, `ocap:<oid>@<peer>[,<hint>…]`: a reference that people pass on by text (wire-protocol §4.2).
//!
//! What always holds: whoever knows an oid may have the object, so no `Debug` shows one and no error repeats one; only
//! `reveal` gives the text. Deliberately elsewhere: whether a peer id is one (`sturdy-identity`), what an oid stands
//! for (`sturdy-kernel`).

use std::borrow::Cow;
use std::fmt;

/// The longest URL, in bytes.
pub const MAX_URL_BYTES: usize = 4_096;

/// The longest oid, in bytes. The reference's have about 85.
const MAX_OID_BYTES: usize = 256;

/// The most addresses in one URL.
const MAX_HINTS: usize = 16;

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// What is wrong with a text that should be an OCAP URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OcapUrlError {
    /// It has no scheme.
    #[error("this is no URL: an OCAP URL begins with 'ocap:'")]
    NoScheme,
    /// It has another scheme.
    #[error("this is no OCAP URL: it begins with '{0}:' and not with 'ocap:'")]
    OtherScheme(String),
    /// Two slashes follow the scheme.
    #[error("an OCAP URL has no slashes after 'ocap:'; remove them")]
    Slashes,
    /// Nothing separates oid and peer.
    #[error("the OCAP URL has no '@' between the object and the peer; perhaps its end is missing")]
    NoAt,
    /// More than one `@`.
    #[error("the OCAP URL has more than one '@'; perhaps two URLs were pasted together")]
    SecondAt,
    /// Nothing before the `@`.
    #[error("the OCAP URL has nothing between 'ocap:' and '@'")]
    NoOid,
    /// What is before the `@` cannot be an oid.
    #[error(
        "what stands between 'ocap:' and '@' is no object id: it must be 'z' and then letters and digits without 0, O, I and l"
    )]
    BadOid,
    /// Nothing after the `@`.
    #[error("the OCAP URL has no peer id after '@'; perhaps its end is missing")]
    NoPeer,
    /// What is after the `@` cannot be a peer id.
    #[error("'{0}' is no peer id: a peer id has only letters and digits without 0, O, I and l")]
    BadPeer(String),
    /// A hint that is no multiaddr.
    #[error("the address '{0}' in the OCAP URL is no multiaddr: it must begin with '/'")]
    BadHint(String),
    /// Too many addresses.
    #[error("the OCAP URL has {0} addresses; at most {MAX_HINTS} are allowed")]
    TooManyHints(usize),
    /// Too long.
    #[error("the OCAP URL has {0} bytes; at most {MAX_URL_BYTES} are allowed")]
    TooLong(usize),
    /// Blanks or control characters in the middle.
    #[error("the OCAP URL has a blank or an unprintable character in it")]
    Blank,
}

/// The secret part of an OCAP URL: multibase base58btc, so it begins with `z`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Oid(String);

impl Oid {
    /// A new oid of 256 random bits.
    pub fn from_random(bits: &[u8; 32]) -> Self {
        Self(format!("z{}", base58(bits)))
    }

    /// Reads an oid, ours or another kernel's.
    pub fn parse(text: &str) -> Result<Self, OcapUrlError> {
        let fits = text.len() <= MAX_OID_BYTES && text.len() > 1;
        match text.strip_prefix('z') {
            Some(rest) if fits && rest.bytes().all(|byte| BASE58.contains(&byte)) => Ok(Self(text.to_owned())),
            _ => Err(OcapUrlError::BadOid),
        }
    }

    /// The text. It is a secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("z…")
    }
}

/// An OCAP URL.
#[derive(Clone, PartialEq, Eq)]
pub struct OcapUrl {
    /// Which object; the secret.
    pub oid: Oid,
    /// The kernel that has it, by its peer id.
    pub peer: String,
    /// Addresses where that kernel may be found.
    pub hints: Vec<String>,
}

impl OcapUrl {
    /// Reads a URL. Blanks around it and line breaks in it are ignored, and so is everything after `?` or `#`.
    pub fn parse(text: &str) -> Result<Self, OcapUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(OcapUrlError::TooLong(text.len()));
        }
        let text: String = text
            .trim_matches(|c: char| c <= ' ')
            .chars()
            .filter(|c| !matches!(c, '\t' | '\r' | '\n'))
            .take_while(|c| !matches!(c, '?' | '#'))
            .collect();
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(OcapUrlError::Blank);
        }
        let (oid, rest) = split(&text)?;
        let mut parts = rest.split(',');
        let peer = parts.next().filter(|peer| !peer.is_empty()).ok_or(OcapUrlError::NoPeer)?;
        if !peer.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(OcapUrlError::BadPeer(short(peer)));
        }
        let hints: Vec<String> = parts.filter(|hint| !hint.is_empty()).map(str::to_owned).collect();
        if let Some(hint) = hints.iter().find(|hint| !hint.starts_with('/')) {
            return Err(OcapUrlError::BadHint(short(hint)));
        }
        if hints.len() > MAX_HINTS {
            return Err(OcapUrlError::TooManyHints(hints.len()));
        }
        Ok(Self { oid: Oid::parse(oid)?, peer: peer.to_owned(), hints })
    }

    /// The URL without addresses: all that the issuer needs to see of it.
    #[must_use]
    pub fn without_hints(&self) -> Self {
        Self { hints: Vec::new(), ..self.clone() }
    }

    /// The text. It is a secret.
    pub fn reveal(&self) -> String {
        let mut text = format!("ocap:{}@{}", self.oid.reveal(), self.peer);
        for hint in &self.hints {
            text.push(',');
            text.push_str(hint);
        }
        text
    }
}

impl fmt::Debug for OcapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ocap:…@{}", self.peer)
    }
}

/// Oid and the rest of a URL whose blanks are gone.
fn split(text: &str) -> Result<(&str, &str), OcapUrlError> {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    };
    let (scheme, path) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).ok_or(OcapUrlError::NoScheme)?;
    if !scheme.eq_ignore_ascii_case("ocap") {
        return Err(OcapUrlError::OtherScheme(short(scheme)));
    }
    if path.starts_with("//") {
        return Err(OcapUrlError::Slashes);
    }
    let (oid, rest) = path.split_once('@').ok_or(OcapUrlError::NoAt)?;
    match (oid.is_empty(), rest.contains('@')) {
        (true, _) => Err(OcapUrlError::NoOid),
        (_, true) => Err(OcapUrlError::SecondAt),
        (false, false) => Ok((oid, rest)),
    }
}

/// The text with the secret of every OCAP URL in it left out, also of one that is broken into lines, which
/// [`OcapUrl::parse`] reads: for logs and dumps.
pub fn redact_urls(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let Some(scheme) = scheme_bytes(&bytes[at..]) else {
            at += 1;
            continue;
        };
        let start = at + scheme;
        let secret = secret_bytes(&bytes[start..]);
        at = start + secret;
        if secret > 0 {
            out.push_str(&text[copied..start]);
            out.push('…');
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// What a URL may be broken by.
const fn is_break(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\r' | b'\n')
}

/// The length of `ocap:` at the beginning, line breaks in it included.
fn scheme_bytes(bytes: &[u8]) -> Option<usize> {
    let mut wanted = b"ocap:".iter().peekable();
    for (at, byte) in bytes.iter().enumerate() {
        if at == 0 || !is_break(*byte) {
            wanted.next_if(|wanted| byte.eq_ignore_ascii_case(wanted))?;
            if wanted.peek().is_none() {
                return Some(at + 1);
            }
        }
    }
    None
}

/// The length of the secret after the scheme. Past a line break it goes on only if an `@` ends it: otherwise what follows
/// is another line.
fn secret_bytes(bytes: &[u8]) -> usize {
    let line = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let lines = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || is_break(**byte)).count();
    if bytes.get(lines) == Some(&b'@') { lines } else { line }
}

/// The beginning of a text that may be long.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Base58 with Bitcoin's alphabet: a number in base 58, and a `1` for each zero byte at the beginning.
fn base58(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        let mut carry = usize::from(byte);
        for digit in &mut digits {
            carry += usize::from(*digit) << 8;
            *digit = u8::try_from(carry % 58).expect("a remainder of 58 is a byte");
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).expect("a remainder of 58 is a byte"));
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let zeros = std::iter::repeat_n('1', zeros);
    zeros.chain(digits.iter().rev().map(|digit| char::from(BASE58[usize::from(*digit)]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";

    #[test]
    fn urls_are_read_and_written() {
        let text = format!("ocap:zAb1@{PEER},/ip4/127.0.0.1/tcp/1/ws/p2p/{PEER},/dns4/x/tcp/2");
        let url = OcapUrl::parse(&text).expect("a URL");
        assert_eq!((url.oid.reveal(), url.peer.as_str(), url.hints.len()), ("zAb1", PEER, 2));
        assert_eq!(url.reveal(), text);
        assert_eq!(url.without_hints().reveal(), format!("ocap:zAb1@{PEER}"));
        for loose in [
            format!("  {text}\n"),
            text.replace("zAb1", "zA\nb1"),
            text.replace("ocap", "OCAP"),
            format!("{text},"),
            format!("{text}?x#y"),
        ] {
            assert_eq!(OcapUrl::parse(&loose).as_ref(), Ok(&url), "{loose:?}");
        }
    }

    #[test]
    fn each_mistake_has_its_error() {
        use OcapUrlError as E;
        let many = format!("ocap:zA@p{}", ",/x".repeat(17));
        for (text, error) in [
            ("", E::NoScheme),
            ("zAb1@peer", E::NoScheme),
            ("https://example.org", E::OtherScheme("https".into())),
            ("ocap://zA/p", E::Slashes),
            ("ocap:zA", E::NoAt),
            ("ocap:zA@pocap:zB@p", E::SecondAt),
            ("ocap:@p", E::NoOid),
            ("ocap:A@p", E::BadOid),
            ("ocap:z@p", E::BadOid),
            ("ocap:zO0@p", E::BadOid),
            ("ocap:zA@", E::NoPeer),
            ("ocap:zA@,/x", E::NoPeer),
            ("ocap:zA@/x", E::BadPeer("/x".into())),
            ("ocap:zA@p,x", E::BadHint("x".into())),
            ("ocap:zA @p", E::Blank),
            (many.as_str(), E::TooManyHints(17)),
            ("x".repeat(5_000).as_str(), E::TooLong(5_000)),
        ] {
            assert_eq!(OcapUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let url = OcapUrl::parse("ocap:zSecret@peer,/x").expect("a URL");
        assert_eq!(format!("{url:?} {:?}", url.oid), "ocap:…@peer z…");
        let told = r#"["redeemURL",["ocap:zSecret@peer","OCAP:zTwo"]] ocap: ocap:@ ocap:"#;
        assert_eq!(redact_urls(told), r#"["redeemURL",["ocap:…@peer","OCAP:…"]] ocap: ocap:@ ocap:"#);
        assert_eq!(redact_urls("nothing"), "nothing");
        assert_eq!(redact_urls("o\r\ncap:\nzSec\nret\n@peer"), "o\r\ncap:…@peer");
        assert_eq!(redact_urls("ocap:zSecret\nnext line"), "ocap:…\nnext line");
        assert_eq!(redact_urls("öcap:ocap:zé"), "öcap:ocap:…é");
    }

    #[test]
    fn oids_are_base58() {
        assert_eq!(base58(b"hello world"), "StV1DL6CwTryKyV");
        assert_eq!(base58(&[0, 0, 1]), "112");
        let oid = Oid::from_random(&[0xff; 32]);
        assert_eq!(Oid::parse(oid.reveal()), Ok(oid));
    }
}
