//! Peers that the kernel wants and that nobody can dial, because what names them is no peer id: a store may hold such
//! names. The transport knows nothing of them, so it is said here that they were not reached.
//!
//! What always holds: each is told at once and then once in a while, as long as it is wanted, so that it counts as an
//! attempt and what the operator has set for peers that are away is done.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use sturdy_transport::{Event, NotAPeer};

/// From one time to the next.
const AGAIN: Duration = Duration::from_mins(1);

/// Such names.
#[derive(Debug, Default)]
pub(crate) struct Undialable {
    /// When each is told next.
    names: BTreeMap<String, Instant>,
}

impl Undialable {
    /// The kernel wants whatever this names.
    pub(crate) fn want(&mut self, now: Instant, NotAPeer(name): NotAPeer) {
        self.names.entry(name).or_insert(now);
    }

    /// It does not any more.
    pub(crate) fn stop_wanting(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// One that is to be told now.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Event> {
        let (name, at) = self.names.iter_mut().find(|(_, at)| **at <= now)?;
        *at = now + AGAIN;
        let why = NotAPeer(name.clone()).to_string();
        Some(Event::DialFailed { peer: name.clone(), why, retry_in: AGAIN })
    }

    /// When the next one is to be told.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.names.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(undialable: &mut Undialable, now: Instant) -> Vec<String> {
        let events = std::iter::from_fn(|| undialable.due(now));
        events
            .map(|event| match event {
                Event::DialFailed { peer, why, .. } if why.contains("no peer id") => peer,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn each_is_told_again_and_again_until_it_is_not_wanted() {
        let (mut undialable, begin) = (Undialable::default(), Instant::now());
        assert_eq!((told(&mut undialable, begin), undialable.deadline()), (vec![], None));
        let mut now = begin;
        for round in 0..3 {
            for name in ["foo", "bar"] {
                undialable.want(now, NotAPeer(name.into()));
            }
            assert_eq!(undialable.deadline(), Some(now), "{round}");
            assert_eq!(told(&mut undialable, now), ["bar", "foo"], "{round}");
            undialable.want(now, NotAPeer("foo".into()));
            assert!(told(&mut undialable, now + AGAIN / 2).is_empty(), "to want it again is no attempt");
            now += AGAIN;
        }
        undialable.stop_wanting("bar");
        assert_eq!(told(&mut undialable, now), ["foo"]);
        undialable.stop_wanting("foo");
        assert_eq!(undialable.deadline(), None);
    }
}
