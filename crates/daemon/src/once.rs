//! That the store of this kernel was set back is told once for each peer.
//!
//! What always holds: the kernel finds it at each greeting until the peer has heard of it, and those that come after the
//! first say nothing new; everything else is told as often as it happens.

use crate::config::{Report, Reporter};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use sturdy_node::kernel::Notice;
use sturdy_node::remote::Loss;

/// The same reporter, without what was told before. A store is set back while nothing runs in it, so to one process once.
pub(crate) fn telling_once(reporter: Reporter) -> Reporter {
    let told = Mutex::new(BTreeSet::new());
    Arc::new(move |report| {
        if let Report::Notice(Notice::PeerRestarted { remote, why: Loss::SetBackHere }) = &report
            && !told.lock().unwrap_or_else(PoisonError::into_inner).insert(*remote)
        {
            return;
        }
        reporter(report);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sturdy_types::RemoteId;

    #[test]
    fn only_our_own_loss_is_told_once() {
        let keep = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&keep);
        let ours = Loss::SetBackHere;
        let reporter = telling_once(Arc::new(move |report| heard.lock().unwrap().push(format!("{report:?}"))));
        for (number, why) in [(1, ours), (1, ours), (2, ours), (1, Loss::Incarnation), (1, Loss::Incarnation)] {
            reporter(Report::Notice(Notice::PeerRestarted { remote: RemoteId(number), why }));
        }
        let ours = |report: &&String| report.contains("SetBackHere");
        let keep = keep.lock().unwrap();
        assert_eq!((keep.len(), keep.iter().filter(ours).count()), (4, 2), "{keep:?}");
    }
}
