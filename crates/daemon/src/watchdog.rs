//! Watches that no delivery takes for ever. A runtime bounds its own deliveries; should one hang in spite of that (a
//! native loop that never looks up, a lock), nothing in this process can stop it, so the process ends itself: the
//! note of `death.rs` then counts the death, and after three of them the vat is terminated (G3).

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use sturdy_types::VatId;

/// Looks per limit: a hang is noticed at most this much later than it should be.
const LOOKS: u32 = 10;

#[derive(Debug)]
struct Working {
    vat: VatId,
    kind: &'static str,
    since: Instant,
}

/// Dropping it ends the watch.
pub(crate) struct Watchdog {
    working: Arc<Mutex<Option<Working>>>,
    _alive: Sender<()>,
}

impl Watchdog {
    /// Begins to watch, with a limit for one delivery.
    pub(crate) fn start(limit: Duration) -> std::io::Result<Self> {
        let working: Arc<Mutex<Option<Working>>> = Arc::default();
        let (alive, ended) = channel::<()>();
        let watched = Arc::clone(&working);
        thread::Builder::new().name("sturdy-watchdog".into()).spawn(move || {
            while ended.recv_timeout(limit / LOOKS) == Err(RecvTimeoutError::Timeout) {
                let guard = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(working) = &*guard
                    && working.since.elapsed() > limit
                {
                    give_up(working, limit);
                }
            }
        })?;
        Ok(Self { working, _alive: alive })
    }

    /// A delivery begins.
    pub(crate) fn begin(&self, vat: VatId, kind: &'static str) {
        self.set(Some(Working { vat, kind, since: Instant::now() }));
    }

    /// It has ended.
    pub(crate) fn end(&self) {
        self.set(None);
    }

    fn set(&self, working: Option<Working>) {
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = working;
    }
}

fn give_up(working: &Working, limit: Duration) {
    eprintln!(
        "sturdy: {} has been working on one delivery ({}) for more than {} s and cannot be stopped from within; the \
         process ends. Start it again: what was answered is safe, and a vat on which it dies three times is terminated.",
        working.vat,
        working.kind,
        limit.as_secs_f64()
    );
    std::process::abort();
}
