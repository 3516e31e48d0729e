//! The committed log of what has passed: one line for each campaign, so that seeds add up per protocol version.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// One campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The version of the protocol between kernels.
    pub protocol: u64,
    /// The commit that was run.
    pub commit: String,
    /// The first seed.
    pub first: u64,
    /// The last seed.
    pub last: u64,
    /// Calls of `handle`.
    pub events: u64,
    /// How many failed.
    pub failed: u64,
}

impl Entry {
    fn line(&self) -> String {
        let Self { protocol, commit, first, last, events, failed } = self;
        format!("protocol {protocol} commit {commit} seeds {first}..{last} events {events} failed {failed}\n")
    }

    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["protocol", protocol, "commit", commit, "seeds", seeds, "events", events, "failed", failed] = words[..]
        else {
            return None;
        };
        let (first, last) = seeds.split_once("..")?;
        Some(Self {
            protocol: protocol.parse().ok()?,
            commit: commit.to_owned(),
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            events: events.parse().ok()?,
            failed: failed.parse().ok()?,
        })
    }
}

/// Every campaign in the log. A log that is not there is empty.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter_map(Entry::read).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The seed after the last one that ran with this version of the protocol.
pub fn next_seed(entries: &[Entry], protocol: u64) -> u64 {
    entries.iter().filter(|entry| entry.protocol == protocol).map(|entry| entry.last + 1).max().unwrap_or(1)
}

/// Seeds that passed with this version of the protocol.
pub fn passed(entries: &[Entry], protocol: u64) -> u64 {
    let of_it = entries.iter().filter(|entry| entry.protocol == protocol);
    of_it.map(|entry| entry.last + 1 - entry.first - entry.failed).sum()
}

/// Adds a campaign.
pub fn append(path: &Path, entry: &Entry) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(entry.line().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn campaigns_add_up_per_version() {
        let entry =
            |protocol, first, last, failed| Entry { protocol, commit: "abc".into(), first, last, events: 9, failed };
        let all = [entry(1, 1, 10, 0), entry(2, 1, 5, 1), entry(1, 11, 20, 2)];
        let read: Vec<Entry> = all.iter().filter_map(|entry| Entry::read(&entry.line())).collect();
        assert_eq!(read, all);
        assert_eq!((next_seed(&all, 1), passed(&all, 1)), (21, 18));
        assert_eq!((next_seed(&all, 2), passed(&all, 2)), (6, 4));
        assert_eq!((next_seed(&all, 3), passed(&all, 3)), (1, 0));
    }
}
