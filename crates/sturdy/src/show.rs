//! How things look.

use std::fmt::Write as _;
use sturdy_daemon::{
    LinePath, LogLevel, NetworkNews, Notice, Report, Status, SubclusterInfo, VatInfo, VatPhase, Way, Wire,
};
use sturdy_smallcaps::display::pretty;
use sturdy_smallcaps::{Value, decode};
use sturdy_types::{CapData, KRef, redact_urls};

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
        Report::Notice(Notice::PeerRestarted { remote, why }) => {
            Some(format!("peer {remote} has lost its state, and what depended on it was rejected: {}", tame(why)))
        }
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
            format!("peer {} cannot be reached: {}; it is tried again and again", tame(peer), tame(why))
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
