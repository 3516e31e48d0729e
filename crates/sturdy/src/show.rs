//! How things look.

use std::fmt::Write as _;
use sturdy_daemon::{
    LinePath, LogLevel, Loss, NetworkNews, Notice, Report, Stats, Status, SubclusterInfo, VatInfo, VatPhase, Way, Wire,
};
use sturdy_smallcaps::display::pretty;
use sturdy_smallcaps::{Value, decode};
use sturdy_transport::TOO_NEAR;
use sturdy_types::{CapData, KRef, RemoteId, redact_urls};

/// Of a word that is longer than this, the beginning and the end are shown.
const LONGEST_WORD: usize = 300;
/// So much of each.
const WORD_END: usize = 40;

/// Text from a vat: what would steer a terminal is made visible, line breaks stay.
pub fn tame(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
    };
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            tamed.extend(c.escape_unicode());
        } else {
            tamed.push(c);
        }
    }
    tamed
}

/// What is wrong with something that was typed, without most of a word that nobody reads to its end. Secrets are taken out
/// first: what is left of one that was cut could not be recognized.
pub fn brief(text: &str) -> String {
    let text = redact_urls(text);
    let mut shown = String::with_capacity(text.len().min(LONGEST_WORD));
    for word in text.split_inclusive(char::is_whitespace) {
        let length = word.chars().count();
        if length <= LONGEST_WORD {
            shown.push_str(word);
        } else {
            shown.extend(word.chars().take(WORD_END));
            shown.push('…');
            shown.extend(word.chars().skip(length - WORD_END));
        }
    }
    shown
}

/// `1 peer`, `2 peers`.
pub fn counted(number: impl TryInto<u64>, one: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A value; what is no value is shown as it stands.
pub fn value(data: &CapData<KRef>) -> String {
    match decode(data) {
        Ok(value) => pretty(&value, &data.slots),
        Err(error) => format!("{} (not a value: {error})", tame(&data.body)),
    }
}

/// Why something was rejected, as `Error:` goes on.
pub fn reason(data: &CapData<KRef>) -> String {
    match decode(data) {
        Ok(Value::Error { name, message, .. }) if name == "Error" => tame(&message),
        Ok(Value::Error { name, message, .. }) => tame(&format!("{name}: {message}")),
        Ok(other) => format!("rejected with {}", pretty(&other, &data.slots)),
        Err(_) => value(data),
    }
}

/// A report, or nothing if it is not worth a line.
pub fn report(report: &Report) -> Option<String> {
    match report {
        Report::Log { vat, name, level, text } => {
            let level = match level {
                LogLevel::Debug => return None,
                LogLevel::Info => "",
                LogLevel::Warn => " warning:",
                LogLevel::Error => " error:",
            };
            let name = if name.is_empty() { vat.to_string() } else { tame(name) };
            // A URL in a log would give its object to whoever reads the log.
            Some(format!("[{name}]{level} {}", tame(&redact_urls(text))))
        }
        Report::Notice(Notice::VatTerminated { vat, name, reason }) => {
            Some(format!("vat {} ({vat}) was terminated: {}", tame(name), tame(reason)))
        }
        Report::Notice(Notice::VatFailed { vat, name, reason }) => {
            Some(format!("vat {} ({vat}) could not be started: {}", tame(name), tame(reason)))
        }
        Report::Notice(Notice::PeerOffended { remote, why }) => {
            Some(format!("peer {remote} sent what can never be processed: {}", tame(why)))
        }
        Report::Notice(Notice::PeerRestarted { remote, why }) => Some(restarted(*remote, *why)),
        Report::Notice(Notice::ConversationRepaired { remote, why }) => {
            Some(format!("what the store knew of the conversation with peer {remote} was repaired: {}", tame(why)))
        }
        Report::Notice(Notice::SubclusterGone(id)) => Some(format!("cluster {id} is gone")),
        Report::Notice(Notice::OneWayLost { target, reason }) => {
            Some(format!("a message to {target} for whose result nobody waits was lost: {}", tame(reason)))
        }
        Report::Network(news) => Some(network(news)),
        Report::Fault { reason, flight } => {
            let mut text = format!("the kernel has stopped: {reason}\nits last moments:");
            for moment in flight {
                let _ = write!(text, "\n  {moment}"); // writing to a String cannot fail
            }
            Some(text)
        }
    }
}

/// Whose state was lost, as the kernel has found it.
fn restarted(remote: RemoteId, why: Loss) -> String {
    match why {
        Loss::SetBackHere => format!("{why}; what was under way with peer {remote} was rejected"),
        Loss::Incarnation => format!("peer {remote} has lost its state, and what depended on it was rejected"),
        Loss::PeerSetBack => {
            format!("peer {remote}'s store was set back to an older state, and what depended on it was rejected")
        }
    }
}

/// How a connection goes.
pub fn way(way: Way) -> String {
    let path = match way.path {
        LinePath::Direct => "connected",
        LinePath::Relayed => "connected through a relay",
    };
    match way.wire {
        Wire::Sturdy => path.to_owned(),
        Wire::Whatever => format!("{path}, with the protocol `whatever`"),
    }
}

fn network(news: &NetworkNews) -> String {
    match news {
        NetworkNews::Listening(address) => format!("listening on {address}"),
        NetworkNews::NotListening { address, why: None } => format!("not listening on {address} any more"),
        NetworkNews::NotListening { address, why: Some(why) } => {
            format!("warning: not listening on {address} any more: {}", tame(why))
        }
        NetworkNews::RelayReserved(relay) => format!("the relay {relay} has a place for this kernel"),
        NetworkNews::RelayLost { relay, why } => {
            format!(
                "warning: the relay {relay} has no place for this kernel: {}; it is asked again and again",
                tame(why)
            )
        }
        NetworkNews::Reached { peer, way: how } => format!("peer {}: {}", tame(peer), way(*how)),
        NetworkNews::Lost { peer, why } => format!("peer {}: the connection is gone: {}", tame(peer), tame(why)),
        NetworkNews::Unreachable { peer, why } => {
            let near = "; it is so as long as this kernel does not --listen on an address like that itself";
            let near = if why.contains(TOO_NEAR) { near } else { "" };
            format!("peer {} cannot be reached: {}; it is tried again and again{near}", tame(peer), tame(why))
        }
    }
}

/// One line about a vat.
pub fn vat(info: &VatInfo) -> String {
    let root = info.root.map_or_else(|| "no root".to_owned(), |root| format!("root {root}"));
    let waiting = if info.waiting > 0 { format!(", {} waiting", info.waiting) } else { String::new() };
    let phase = match &info.phase {
        VatPhase::Starting => "starting".to_owned(),
        VatPhase::Running => "running".to_owned(),
        VatPhase::Failed(why) => format!("FAILED: {}", tame(why)),
    };
    format!("  {} ({}, {root}, {}{waiting}): {phase}", tame(&info.name), info.id, info.run)
}

/// A cluster and its vats, one line each.
pub fn subcluster(info: &SubclusterInfo, status: &Status) -> String {
    let name = info.label.as_deref().or(info.system_name.as_deref()).unwrap_or("without a name");
    let mut text = format!("{} {}", info.id, tame(name));
    for vat_info in status.vats.iter().filter(|vat| vat.subcluster == info.id) {
        text.push('\n');
        text.push_str(&vat(vat_info));
    }
    text
}

/// Everything.
pub fn status(status: &Status) -> String {
    let clusters: Vec<String> = status.subclusters.iter().map(|info| subcluster(info, status)).collect();
    if clusters.is_empty() { "nothing is running".into() } else { clusters.join("\n") }
}

/// The counters of a kernel.
pub fn stats(stats: &Stats) -> String {
    let Stats { node, engine, heaps } = stats;
    format!(
        "turns {}, cranks {} of which {} undone, commits {}, answers of earlier runs {}\n\
         store: commits {}, rows written {}, bytes written {}, checkpoints {}, bytes in the log {}\n\
         living heaps {heaps}",
        node.turns,
        node.cranks,
        node.aborted,
        node.commits,
        node.stale_outcomes,
        engine.commits,
        engine.keys_written,
        engine.bytes_written,
        engine.checkpoints,
        engine.log_bytes,
    )
}

/// The same for programs.
pub fn stats_json(stats: &Stats) -> String {
    let Stats { node, engine, heaps } = stats;
    format!(
        "{{\"turns\":{},\"cranks\":{},\"cranksUndone\":{},\"commits\":{},\"staleOutcomes\":{},\"heaps\":{heaps},\
         \"store\":{{\"commits\":{},\"rowsWritten\":{},\"bytesWritten\":{},\"checkpoints\":{},\"logBytes\":{}}}}}",
        node.turns,
        node.cranks,
        node.aborted,
        node.commits,
        node.stale_outcomes,
        engine.commits,
        engine.keys_written,
        engine.bytes_written,
        engine.checkpoints,
        engine.log_bytes,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_and_others_are_not() {
        let name = "é".repeat(1_000);
        let told = brief(&format!("nothing is named `{name}`; known are: {}", "root, ".repeat(100)));
        let ends = "é".repeat(WORD_END);
        assert!(told.starts_with(&format!("nothing is named `{}…{}`; known", &ends[2..], &ends[6..])), "{told}");
        assert!(told.ends_with("root, root, "), "{told}");
        let url = format!("ocap:{}@12D3KooW", "z".repeat(1_000));
        assert!(!brief(&url).contains("zzz"), "{}", brief(&url));
    }

    #[test]
    fn it_is_told_whose_state_was_lost() {
        for (why, told) in [
            (
                Loss::SetBackHere,
                "the store of this kernel was set back to an older state; what was under way with peer r1",
            ),
            (Loss::Incarnation, "peer r1 has lost its state, and what"),
            (Loss::PeerSetBack, "peer r1's store was set back to an older state, and what"),
        ] {
            assert!(restarted(RemoteId(1), why).starts_with(told), "{}", restarted(RemoteId(1), why));
        }
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([0_usize, 1, 2].map(|number| counted(number, "URL")), ["0 URLs", "1 URL", "2 URLs"]);
    }
}
