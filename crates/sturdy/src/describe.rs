//! How peers and URLs look: a line each for people, a JSON object each for programs. Never the secret of a URL.

use crate::patience;
use crate::show::{counted, tame};
use std::fmt::Write as _;
use sturdy_daemon::{Lasts, PeerInfo, PeerKind, RemoteState, UrlInfo, UrlUses};
use sturdy_types::{Millis, UrlId, json_string};
use time::OffsetDateTime;

/// One peer for people.
pub fn peer(info: &PeerInfo) -> String {
    let mut text = format!("{} {}: {}, {}", info.id, tame(&info.peer), state(info.state), kind(info.kind));
    let _ = write!(text, ", {} pending ({})", info.pending_messages, counted(info.pending_bytes, "byte"));
    let _ = write!(text, ", {} received, conversation {}", info.received, info.conversation);
    if let Some(incarnation) = &info.incarnation {
        let _ = write!(text, ", incarnation {}", tame(incarnation));
    }
    if info.offences > 0 {
        let _ = write!(text, ", {}", counted(info.offences, "offence"));
    }
    for (count, what) in [(info.refused, "refused"), (info.skipped, "skipped")] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if info.held_by_lost > 0 {
        let held = counted(info.held_by_lost, "object");
        let _ = write!(text, ", held {held} when one of both lost its state");
    }
    if let Some(since) = info.unreachable_since {
        let _ = write!(text, ", unreachable since {}", time(since));
    }
    text.push_str(&patience::shown(info));
    for hint in &info.hints {
        let _ = write!(text, "\n  {}", tame(hint));
    }
    text
}

/// One peer for programs, with more properties of it: text that begins with a comma, or nothing.
pub fn peer_json(info: &PeerInfo, more: &str) -> String {
    let hints: Vec<String> = info.hints.iter().map(|hint| json_string(hint)).collect();
    let incarnation = or_null(info.incarnation.as_deref().map(json_string));
    format!(
        "{{\"peer\":{},\"id\":\"{}\",\"state\":\"{}\",\"kind\":\"{}\",\"pendingMessages\":{},\"pendingBytes\":{},\
         \"received\":{},\"conversation\":{},\"incarnation\":{incarnation},\"offences\":{},\"refused\":{},\"skipped\":{},\
         \"heldByLost\":{},\"unreachableSince\":{}{},\"addresses\":[{}]{more}}}",
        json_string(&info.peer),
        info.id,
        state(info.state),
        kind(info.kind),
        info.pending_messages,
        info.pending_bytes,
        info.received,
        info.conversation,
        info.offences,
        info.refused,
        info.skipped,
        info.held_by_lost,
        or_null(info.unreachable_since),
        patience::json(info),
        hints.join(",")
    )
}

/// One URL for people.
pub fn url(info: &UrlInfo) -> String {
    let mut text = format!("{} for {}, issued {}", info.id, info.object, time(info.issued_at));
    match (&info.uses, info.redeemed) {
        (UrlUses::Many, 0) => text.push_str(", not redeemed yet"),
        (UrlUses::Many, 1) => text.push_str(", redeemed once"),
        (UrlUses::Many, times) => drop(write!(text, ", redeemed {times} times")),
        (UrlUses::Once, _) => text.push_str(", for one use"),
        (UrlUses::Used { .. }, _) => text.push_str(", used up"),
    }
    match (&info.uses, info.expires_at) {
        (_, None) => {}
        (UrlUses::Used { .. }, Some(at)) => drop(write!(text, ", forgotten {}", time(at))),
        (_, Some(at)) => drop(write!(text, ", expires {}", time(at))),
    }
    if info.lasts == Lasts::UntilItsVatRestarts {
        text.push_str("; its object is ephemeral and ends when its vat restarts");
    }
    text
}

/// One URL for programs.
pub fn url_json(info: &UrlInfo) -> String {
    let uses = match info.uses {
        UrlUses::Many => "many",
        UrlUses::Once => "once",
        UrlUses::Used { .. } => "used",
    };
    format!(
        "{{\"url\":\"{}\",\"object\":\"{}\",\"issuedAt\":{},\"expiresAt\":{},\"uses\":\"{uses}\",\"redeemed\":{},\
         \"ephemeral\":{}}}",
        info.id,
        info.object,
        info.issued_at,
        or_null(info.expires_at),
        info.redeemed,
        info.lasts == Lasts::UntilItsVatRestarts
    )
}

/// Why a URL cannot be revoked.
pub fn no_such_url(number: UrlId) -> String {
    format!("there is no {number}; `url list` lists those that were issued and not ended")
}

const fn state(state: RemoteState) -> &'static str {
    match state {
        RemoteState::Open => "open",
        RemoteState::Closed => "closed",
        RemoteState::GivenUp => "given up",
    }
}

const fn kind(kind: PeerKind) -> &'static str {
    match kind {
        PeerKind::Unknown => "not met yet",
        PeerKind::Sturdy => "sturdy",
        PeerKind::Whatever => "whatever",
    }
}

/// What stands in JSON for a value that may not be there; a text must be quoted already.
pub fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// A point in time.
pub fn time(at: Millis) -> String {
    let known = i64::try_from(at / 1_000).ok().and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
    let Some(at) = known else { return "after the year 9999".into() };
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_782_399_999), "2000-02-28 23:59:59 UTC");
        assert_eq!(time(1_795_255_200_000), "2026-11-21 10:00:00 UTC");
        assert_eq!(time(u64::MAX), "after the year 9999");
    }
}
