//! The time that the kernel is told.
//!
//! What always holds: within a process it never steps, whatever is done to the clock on the wall, and while the machine
//! sleeps it goes on. So no wait of the kernel is cut short or drawn out by a clock that is set. Nothing else in this
//! crate tells the kernel the time. From one process to the next it may go in either direction; what the kernel keeps of
//! it bears that.

use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use sturdy_types::Millis;

/// The clock that counts on while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ELAPSED: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const ELAPSED: ClockId = ClockId::Monotonic;

/// What both clocks showed when the process first asked.
#[derive(Debug, Clone, Copy)]
struct Clock {
    wall: Duration,
    elapsed: Duration,
}

impl Clock {
    fn at(&self, elapsed: Duration) -> Millis {
        let time = self.wall.saturating_add(elapsed.saturating_sub(self.elapsed));
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The time that the kernel is told: what the clock on the wall showed when the process first asked, and what has passed
/// since. A clock before 1970 is as good as 1970.
///
/// What that means for dates. An expiry of a URL is a date: it is compared with this time, so until the next start of the
/// process a URL ends earlier or later by as much as the clock on the wall was set meanwhile. `unreachable since`, and
/// when a URL was issued, are dates of this time, too: where the clock was wrong when the process began, they are wrong by
/// as much. Spans, such as how long a peer is waited for, are right within a process.
pub(crate) fn now() -> Millis {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    CLOCK.get_or_init(|| Clock { wall: wall(), elapsed: elapsed() }).at(elapsed())
}

fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn elapsed() -> Duration {
    let time = clock_gettime(ELAPSED);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_from_the_wall_and_never_back() {
        let clock = Clock { wall: Duration::from_secs(1_000), elapsed: Duration::from_secs(70) };
        assert_eq!(clock.at(Duration::from_secs(70)), 1_000_000);
        assert_eq!(clock.at(Duration::from_millis(70_250)), 1_000_250);
        assert_eq!(clock.at(Duration::from_secs(69)), 1_000_000, "no clock that counts up does this");
        assert_eq!(clock.at(Duration::MAX), u64::MAX);
        let (early, before, late) = (wall(), now(), wall());
        let millis = |time: Duration| u64::try_from(time.as_millis()).expect("not that late");
        assert!(before + 60_000 > millis(early) && before < millis(late) + 60_000, "it began with the wall");
        assert!(now() >= before);
    }

    /// Whoever read the clock on the wall beside this module would hand the kernel its steps.
    #[test]
    fn nobody_else_here_reads_the_clock_on_the_wall() {
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        for entry in std::fs::read_dir(sources).expect("the sources are there") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("clock.rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                assert!(!text.contains("SystemTime"), "{}", path.display());
            }
        }
    }
}
