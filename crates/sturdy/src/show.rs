//! How things look.

use std::fmt::Write as _;
use sturdy_daemon::{LogLevel, Notice, Report, Status, SubclusterInfo, VatInfo, VatPhase};
use sturdy_smallcaps::display::pretty;
use sturdy_smallcaps::{Value, decode};
use sturdy_types::{CapData, KRef};

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
            Some(format!("[{name}]{level} {}", tame(text)))
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
        Report::Notice(Notice::SubclusterGone(id)) => Some(format!("cluster {id} is gone")),
        Report::Notice(Notice::OneWayLost { target, reason }) => {
            Some(format!("a message to {target} for whose result nobody waits was lost: {}", tame(reason)))
        }
        Report::Fault { reason, flight } => {
            let mut text = format!("the kernel has stopped: {reason}\nits last moments:");
            for moment in flight {
                let _ = write!(text, "\n  {moment}"); // writing to a String cannot fail
            }
            Some(text)
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
