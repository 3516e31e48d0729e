//! How peers and URLs look: a line each for people, a JSON object each for programs. Never the secret of a URL.

use crate::show::tame;
use std::fmt::Write as _;
use sturdy_daemon::{Lasts, PeerInfo, PeerKind, RemoteState, UrlInfo, UrlUses};
use sturdy_types::{Millis, json_string};

/// One peer for people.
pub fn peer(info: &PeerInfo) -> String {
    let mut text = format!("{} {}: {}, {}", info.id, tame(&info.peer), state(info.state), kind(info.kind));
    let _ = write!(text, ", {} pending ({} bytes)", info.pending_messages, info.pending_bytes);
    let _ = write!(text, ", {} received, conversation {}", info.received, info.conversation);
    if let Some(incarnation) = &info.incarnation {
        let _ = write!(text, ", incarnation {}", tame(incarnation));
    }
    for (count, what) in [(info.offences, "offences"), (info.refused, "refused"), (info.skipped, "skipped")] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    if let Some(since) = info.unreachable_since {
        let _ = write!(text, ", unreachable since {}", time(since));
    }
    for hint in &info.hints {
        let _ = write!(text, "\n  {}", tame(hint));
    }
    text
}

/// One peer for programs.
pub fn peer_json(info: &PeerInfo) -> String {
    let hints: Vec<String> = info.hints.iter().map(|hint| json_string(hint)).collect();
    let incarnation = info.incarnation.as_deref().map_or_else(|| "null".to_owned(), json_string);
    format!(
        "{{\"peer\":{},\"id\":\"{}\",\"state\":\"{}\",\"kind\":\"{}\",\"pendingMessages\":{},\"pendingBytes\":{},\
         \"received\":{},\"conversation\":{},\"incarnation\":{incarnation},\"offences\":{},\"refused\":{},\"skipped\":{},\
         \"unreachableSince\":{},\"addresses\":[{}]}}",
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
        number(info.unreachable_since),
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
        number(info.expires_at),
        info.redeemed,
        info.lasts == Lasts::UntilItsVatRestarts
    )
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

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// A point in time, by the usual reckoning with years that begin in March.
pub fn time(at: Millis) -> String {
    let (day, second) = (at / 86_400_000, at / 1_000 % 86_400);
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{:04}-{month:02}-{day_of_month:02} {hour:02}:{minute:02}:{second:02} UTC", year_of_era + era * 400 + later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told() {
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_782_399_999), "2000-02-28 23:59:59 UTC");
        assert_eq!(time(1_795_255_200_000), "2026-11-21 10:00:00 UTC");
        assert!(time(u64::MAX).ends_with("UTC"));
    }
}
