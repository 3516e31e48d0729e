//! OCAP URLs and peer ids: what is read is written and read again as the same, and nothing but `reveal` shows the secret.

use sturdy_identity::{OcapUrl, PeerId, parse_url, redact_urls};

/// Secrets shorter than this may stand in a text by accident.
const SECRET_BYTES: usize = 8;

/// A text that somebody has pasted.
pub(crate) fn urls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let redacted = redact_urls(text);
    assert_eq!(redact_urls(&redacted), redacted, "what is redacted is redacted again");
    match OcapUrl::parse(text) {
        Ok(url) => read(text, &url),
        Err(error) => assert!(error.to_string().len() < 1_000, "{error}"),
    }
    match parse_url(text) {
        Ok((url, peer)) => {
            assert_eq!(peer.to_string(), url.peer, "a peer id has two spellings");
            assert_eq!(url.peer.parse::<PeerId>(), Ok(peer));
        }
        Err(error) => assert!(error.to_string().len() < 1_000, "{error}"),
    }
}

fn read(text: &str, url: &OcapUrl) {
    let revealed = url.reveal();
    assert_eq!(OcapUrl::parse(&revealed).as_ref(), Ok(url), "{revealed}");
    assert_eq!(OcapUrl::parse(&url.without_hints().reveal()), Ok(url.without_hints()), "{revealed}");
    let secret = url.oid.reveal();
    let rest = format!("{} {}", url.peer, url.hints.join(" "));
    if secret.len() < SECRET_BYTES || rest.contains(secret) {
        return;
    }
    let shown = [format!("{url:?}"), format!("{:?}", url.oid), redact_urls(&revealed).into_owned()];
    assert!(shown.iter().all(|shown| !shown.contains(secret)), "{shown:?} show {secret}");
    // Reading leaves line breaks out; what comes twice may stand there the second time as no URL.
    let unbroken: String = text.chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
    if unbroken.matches(secret).count() == 1 {
        let redacted = redact_urls(text);
        assert!(!redacted.contains(secret), "{redacted:?} shows {secret}");
    }
}
