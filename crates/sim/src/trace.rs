//! The trace of a run: one numbered line for everything that was seen, and a digest of all lines.

use crate::seen::{KernelNo, Seen};
use std::collections::VecDeque;
use std::fmt::Write;
use std::io;
use sturdy_kernel::{Effect, Event};
use sturdy_types::Millis;

/// How many lines are kept for a failure.
const KEPT: usize = 60;

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceTo {
    /// Only the last ones are kept.
    Memory,
    /// To standard output.
    StandardOutput,
}

/// The trace.
pub struct Trace {
    to: TraceTo,
    digest: blake3::Hasher,
    lines: u64,
    last: VecDeque<String>,
}

impl Trace {
    /// Nothing seen yet.
    pub fn new(to: TraceTo) -> Self {
        Self { to, digest: blake3::Hasher::new(), lines: 0, last: VecDeque::new() }
    }

    /// What a kernel did or was told.
    pub fn seen(&mut self, now: Millis, kernel: KernelNo, seen: &Seen) {
        self.line(now, |line| {
            let _ = match seen {
                Seen::Event(Event::Received { connection, frame }) => {
                    write!(line, "k{kernel} Received({connection}, {})", String::from_utf8_lossy(frame))
                }
                Seen::Outer(Effect::Transmit { connection, bytes }) => {
                    write!(line, "k{kernel} Transmit({connection}, {})", String::from_utf8_lossy(bytes))
                }
                seen => write!(line, "k{kernel} {seen:?}"),
            };
        });
    }

    /// What the world did.
    pub fn note(&mut self, now: Millis, what: &str) {
        self.line(now, |line| line.push_str(what));
    }

    fn line(&mut self, now: Millis, write_it: impl FnOnce(&mut String)) {
        self.lines += 1;
        let mut line = if self.last.len() == KEPT { self.last.pop_front().unwrap_or_default() } else { String::new() };
        line.clear();
        let _ = write!(line, "{:06} {now} ", self.lines);
        write_it(&mut line);
        self.digest.update(line.as_bytes());
        if self.to == TraceTo::StandardOutput {
            // A reader that went away must not end the run.
            let _ = io::Write::write_all(&mut io::stdout().lock(), format!("{line}\n").as_bytes());
        }
        self.last.push_back(line);
    }

    /// The last lines.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    /// How many lines there were, and their digest.
    pub fn digest(&self) -> (u64, String) {
        (self.lines, self.digest.finalize().to_hex()[..16].to_owned())
    }
}
