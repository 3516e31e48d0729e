//! What is reported holds no URL: a URL is a secret, and reports end in logs (L14).
//!
//! What always holds: every report passes here on its way to the host, whoever wrote the text in it.

use crate::config::{Report, Reporter};
use crate::network::NetworkNews;
use std::sync::Arc;
use sturdy_node::kernel::Notice;
use sturdy_types::redact_urls;

/// The same reporter, without the secrets of URLs.
pub(crate) fn redacting(reporter: Reporter) -> Reporter {
    Arc::new(move |mut report| {
        redact(&mut report);
        reporter(report);
    })
}

fn redact(report: &mut Report) {
    match report {
        Report::Log { name, text, .. } => texts([name, text]),
        Report::Notice(notice) => match notice {
            Notice::VatTerminated { name, reason, .. } | Notice::VatFailed { name, reason, .. } => {
                texts([name, reason]);
            }
            Notice::PeerOffended { why, .. } | Notice::ConversationRepaired { why, .. } => texts([why]),
            Notice::OneWayLost { reason, .. } => texts([reason]),
            Notice::PeerRestarted { .. } | Notice::SubclusterGone(_) => {}
        },
        Report::Network(news) => match news {
            NetworkNews::NotListening { why: Some(why), .. }
            | NetworkNews::RelayLost { why, .. }
            | NetworkNews::Lost { why, .. }
            | NetworkNews::Unreachable { why, .. } => texts([why]),
            NetworkNews::Listening(_)
            | NetworkNews::NotListening { why: None, .. }
            | NetworkNews::RelayReserved(_)
            | NetworkNews::Reached { .. } => {}
        },
        Report::Fault { reason, flight } => texts(flight.iter_mut().chain([reason])),
    }
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a mut String>) {
    for text in texts {
        if let std::borrow::Cow::Owned(redacted) = redact_urls(text) {
            *text = redacted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use sturdy_types::{KRef, ObjectId, RemoteId, VatId};
    use sturdy_vat::LogLevel;

    #[test]
    fn no_report_shows_a_url() {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let keep = Arc::clone(&seen);
        let reporter = redacting(Arc::new(move |report| keep.lock().unwrap().push(format!("{report:?}"))));
        let text = || "it says ocap:zSecret@peer,/x".to_owned();
        let (vat, remote) = (VatId(1), RemoteId(1));
        let reports = [
            Report::Log { vat, name: text(), level: LogLevel::Debug, text: text() },
            Report::Notice(Notice::VatTerminated { vat, name: text(), reason: text() }),
            Report::Notice(Notice::VatFailed { vat, name: text(), reason: text() }),
            Report::Notice(Notice::PeerOffended { remote, why: text() }),
            Report::Notice(Notice::OneWayLost { target: KRef::Object(ObjectId(1)), reason: text() }),
            Report::Network(NetworkNews::NotListening { address: "/x".into(), why: Some(text()) }),
            Report::Network(NetworkNews::RelayLost { relay: "/x".into(), why: text() }),
            Report::Network(NetworkNews::Lost { peer: "p".into(), why: text() }),
            Report::Network(NetworkNews::Unreachable { peer: "p".into(), why: text() }),
            Report::Fault { reason: text(), flight: vec![text(), text()] },
        ];
        let count = reports.len();
        for report in reports {
            reporter(report);
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), count);
        for report in seen.iter() {
            assert!(report.contains("ocap:…@peer") && !report.contains("zSecret"), "{report}");
        }
    }
}
