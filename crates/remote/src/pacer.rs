//! When to speak: acknowledgements owed, retransmission, the window of a connection (link L4).
//!
//! All of it is volatile: it may be thrown away at any moment, costs a little time then and never a message. What is
//! sent and kept is the outbox's matter (`sequence`). Time is an argument; [`Pacer::deadline`] says when to call
//! [`Pacer::on_time`] next. What always holds: nothing is put on the wire before it is durable, because only durable
//! numbers are told to the pacer; within one connection numbers go out in order; at most a window of them is
//! unacknowledged.

use std::collections::VecDeque;
use sturdy_types::Millis;
use sturdy_types::defect::{self, Defect};

/// Limits of pacing, each with its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacerLimits {
    /// An acknowledgement leaves at most this long after what it covers is durable.
    pub ack_delay_ms: u64,
    /// … and at the latest after this many messages.
    pub ack_messages: u64,
    /// Messages on the wire that are not acknowledged.
    pub window_messages: u64,
    /// Bytes on the wire that are not acknowledged. One message may exceed it alone.
    pub window_bytes: usize,
    /// The retransmission timer never runs shorter …
    pub timeout_min_ms: u64,
    /// … nor, however often it ran out, longer than this.
    pub timeout_max_ms: u64,
    /// The timer before any round trip was measured.
    pub timeout_first_ms: u64,
    /// Something is said at least this often, so that the other side does not take the stream for dead.
    pub keep_alive_ms: Option<u64>,
}

impl PacerLimits {
    /// Toward a peer that is not of our own kind: it is lost once 200 messages are unacknowledged, breaks a stream on
    /// which it has not read 4 MiB, and closes one on which it has heard nothing for 120 s (wire-protocol §5.2, §7). The
    /// window may be exceeded by one message, and the first is repeated now and then.
    pub fn toward_whatever() -> Self {
        Self { window_messages: 100, window_bytes: 1 << 20, keep_alive_ms: Some(60_000), ..Self::default() }
    }
}

impl Default for PacerLimits {
    fn default() -> Self {
        Self {
            ack_delay_ms: 50,
            ack_messages: 64,
            window_messages: 1_024,
            window_bytes: 4 << 20,
            timeout_min_ms: 200,
            timeout_max_ms: 60_000,
            timeout_first_ms: 1_000,
            keep_alive_ms: None,
        }
    }
}

/// What to put on the wire now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speak {
    /// The message with this number.
    Message(u64),
    /// A standalone acknowledgement.
    Ack,
}

/// One message on the wire.
#[derive(Debug, Clone, Copy)]
struct Flying {
    seq: u64,
    bytes: usize,
    sent_at: Millis,
    /// Sent more than once: its round trip says nothing (Karn's rule).
    repeated: bool,
}

/// The volatile side of one conversation on one connection.
#[derive(Debug)]
pub struct Pacer {
    limits: PacerLimits,
    /// The next number to put on the wire; below it everything is flying or acknowledged.
    next: u64,
    flying: VecDeque<Flying>,
    flying_bytes: usize,
    /// When the oldest flying message counts as lost.
    retransmit_at: Option<Millis>,
    timeouts: u32,
    round_trip: Option<RoundTrip>,
    /// Durable messages of the peer that no acknowledgement of ours covers yet, and when one has to leave.
    unacknowledged: u64,
    ack_at: Option<Millis>,
    /// When an acknowledgement leaves even if nothing is owed.
    keep_alive_at: Option<Millis>,
}

/// Smoothed round trip and its variation, in milliseconds (RFC 6298).
#[derive(Debug, Clone, Copy)]
struct RoundTrip {
    smoothed: u64,
    variation: u64,
}

impl Pacer {
    /// A fresh connection: everything pending goes out again, from the first number on, before anything newer.
    pub fn new(limits: PacerLimits, first_pending: u64) -> Self {
        Self {
            limits,
            next: first_pending,
            flying: VecDeque::new(),
            flying_bytes: 0,
            retransmit_at: None,
            timeouts: 0,
            round_trip: None,
            unacknowledged: 0,
            ack_at: None,
            keep_alive_at: None,
        }
    }

    /// Something was put on the wire.
    pub fn spoke(&mut self, now: Millis) {
        self.keep_alive_at = self.limits.keep_alive_ms.map(|ms| now.saturating_add(ms));
    }

    /// The number to put on the wire next, if the window is open. `durable_end` is the first number that is not
    /// durable. After writing it the caller tells [`Pacer::sent`].
    pub fn next_to_send(&self, durable_end: u64) -> Option<u64> {
        let open = (self.flying.len() as u64) < self.limits.window_messages
            && (self.flying_bytes < self.limits.window_bytes || self.flying.is_empty());
        (self.next < durable_end && open).then_some(self.next)
    }

    /// The first number that was not put on the wire on this connection.
    pub const fn next_unsent(&self) -> u64 {
        self.next
    }

    /// The first number that the peer has not acknowledged.
    pub fn first_unacknowledged(&self) -> u64 {
        self.flying.front().map_or(self.next, |flying| flying.seq)
    }

    /// A message was put on the wire; it carried an acknowledgement of everything received when it was made, which may
    /// be older than what is owed, so an owed one stays owed unless `acknowledges_all`.
    pub fn sent(&mut self, now: Millis, seq: u64, bytes: usize, carried: Carried) {
        self.spoke(now);
        if seq == self.next {
            self.next += 1;
            self.flying.push_back(Flying { seq, bytes, sent_at: now, repeated: false });
            self.flying_bytes += bytes;
        } else if let Some(flying) = self.flying.iter_mut().find(|flying| flying.seq == seq) {
            flying.repeated = true;
            flying.sent_at = now;
        }
        if self.retransmit_at.is_none() {
            self.retransmit_at = Some(now.saturating_add(self.timeout()));
        }
        if carried == Carried::EverythingOwed {
            self.ack_sent();
        }
    }

    /// The peer acknowledged everything up to `ack`.
    pub fn acknowledged(&mut self, now: Millis, ack: u64) {
        let mut progress = false;
        while let Some(flying) = self.flying.front().copied().filter(|flying| flying.seq <= ack) {
            self.flying.pop_front();
            self.flying_bytes -= flying.bytes;
            progress = true;
            if !flying.repeated && flying.seq == ack {
                self.measure(now.saturating_sub(flying.sent_at));
            }
        }
        self.next = self.next.max(ack + 1);
        if progress {
            self.timeouts = 0;
            self.retransmit_at = (!self.flying.is_empty()).then(|| now.saturating_add(self.timeout()));
        }
    }

    /// A message of the peer (or a repetition) has become durable: an acknowledgement is owed (G6).
    pub fn owe_ack(&mut self, now: Millis) {
        self.unacknowledged += 1;
        // Set once, not pushed back by further traffic, or a steady stream would never be acknowledged (W-16).
        self.ack_at.get_or_insert(now.saturating_add(self.limits.ack_delay_ms));
        if self.unacknowledged >= self.limits.ack_messages {
            self.ack_at = Some(now);
        }
        if defect::broken(Defect::AckPutOff) {
            self.ack_at = Some(now.saturating_add(self.limits.ack_delay_ms));
        }
    }

    /// An acknowledgement of everything owed has been put on the wire.
    pub fn ack_sent(&mut self) {
        self.unacknowledged = 0;
        self.ack_at = None;
    }

    /// What time demands: an owed acknowledgement, and the oldest unacknowledged message alone (not everything: what
    /// follows it is probably there already).
    pub fn on_time(&mut self, now: Millis) -> Vec<Speak> {
        let mut speak = Vec::new();
        if self.keep_alive_at.is_none() {
            self.spoke(now); // a fresh connection
        }
        if self.ack_at.or(self.keep_alive_at).is_some_and(|at| at <= now) {
            speak.push(Speak::Ack);
        }
        if self.retransmit_at.is_some_and(|at| at <= now) {
            if let Some(head) = self.flying.front() {
                speak.push(Speak::Message(head.seq));
            }
            self.timeouts = self.timeouts.saturating_add(1);
            self.retransmit_at = (!self.flying.is_empty()).then(|| now.saturating_add(self.timeout()));
        }
        speak
    }

    /// When [`Pacer::on_time`] has something to say, at the earliest.
    pub fn deadline(&self) -> Option<Millis> {
        [self.ack_at, self.retransmit_at, self.keep_alive_at].into_iter().flatten().min()
    }

    /// How often in a row the timer ran out without any progress.
    pub const fn timeouts(&self) -> u32 {
        self.timeouts
    }

    /// The smoothed round trip in milliseconds, once one was measured.
    pub fn round_trip_ms(&self) -> Option<u64> {
        self.round_trip.map(|round_trip| round_trip.smoothed)
    }

    fn timeout(&self) -> u64 {
        let PacerLimits { timeout_min_ms, timeout_max_ms, timeout_first_ms, .. } = self.limits;
        let base = self.round_trip.map_or(timeout_first_ms, |rtt| rtt.smoothed + (4 * rtt.variation).max(10));
        let doubled = base.max(timeout_min_ms).saturating_mul(1 << self.timeouts.min(16));
        doubled.min(timeout_max_ms)
    }

    fn measure(&mut self, sample: u64) {
        let next = match self.round_trip {
            None => RoundTrip { smoothed: sample, variation: sample / 2 },
            Some(RoundTrip { smoothed, variation }) => RoundTrip {
                smoothed: (7 * smoothed + sample) / 8,
                variation: (3 * variation + smoothed.abs_diff(sample)) / 4,
            },
        };
        self.round_trip = Some(next);
    }
}

/// Whether a message that was put on the wire acknowledged everything that is owed. Its `ack` was fixed when it was
/// made (L4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// It did.
    EverythingOwed,
    /// It was made before the last messages arrived.
    Less,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pacer() -> Pacer {
        Pacer::new(PacerLimits::default(), 1)
    }

    #[test]
    fn a_steady_stream_is_acknowledged_in_time() {
        let mut pacer = pacer();
        // One message each 20 ms: the reference never acknowledged it (W-16).
        let mut acks = Vec::new();
        for now in (0..1000).step_by(20) {
            pacer.owe_ack(now);
            if pacer.on_time(now).contains(&Speak::Ack) {
                acks.push(now);
                pacer.ack_sent();
            }
        }
        assert_eq!(acks.first(), Some(&60));
        assert!(acks.windows(2).all(|pair| pair[1] - pair[0] <= 80), "{acks:?}");
        for _ in 0..64 {
            pacer.owe_ack(2000);
        }
        assert_eq!(pacer.on_time(2000), [Speak::Ack], "64 messages are acknowledged at once");
    }

    #[test]
    fn the_window_closes_and_opens() {
        let mut pacer = pacer();
        let mut sent = 0;
        while let Some(seq) = pacer.next_to_send(5000) {
            pacer.sent(0, seq, 100, Carried::Less);
            sent = seq;
        }
        assert_eq!(sent, 1024);
        pacer.acknowledged(10, 24);
        assert_eq!(pacer.next_to_send(5000), Some(1025));
        assert_eq!(pacer.next_to_send(1025), None, "what is not durable waits");
    }

    #[test]
    fn one_message_larger_than_the_window_goes_alone() {
        let mut pacer = pacer();
        pacer.sent(0, 1, 5 << 20, Carried::Less);
        assert_eq!(pacer.next_to_send(3), None);
        pacer.acknowledged(1, 1);
        assert_eq!(pacer.next_to_send(3), Some(2));
    }

    #[test]
    fn the_head_is_repeated_with_growing_patience() {
        let mut pacer = pacer();
        for seq in 1..=3 {
            pacer.sent(0, seq, 10, Carried::Less);
        }
        let mut times = Vec::new();
        let mut now = 0;
        while times.len() < 10 {
            now = pacer.deadline().expect("it goes on for as long as it takes (G8)");
            assert_eq!(pacer.on_time(now), [Speak::Message(1)]);
            pacer.sent(now, 1, 10, Carried::Less);
            times.push(now);
        }
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps, [2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000, 60000]);
        pacer.acknowledged(now, 3);
        assert_eq!((pacer.deadline(), pacer.timeouts()), (None, 0));
        assert_eq!(pacer.round_trip_ms(), Some(now), "number 3 was sent once, so its round trip counts");
    }

    /// How long the first message after these round trips may stay unanswered before it is repeated.
    fn patience_after(trips: &[u64]) -> (Pacer, Millis) {
        let (mut pacer, mut now) = (pacer(), 0);
        for (seq, trip) in (1..).zip(trips) {
            pacer.sent(now, seq, 10, Carried::Less);
            now += trip;
            pacer.acknowledged(now, seq);
        }
        let last = pacer.next_unsent();
        pacer.sent(now, last, 10, Carried::Less);
        let patience = pacer.deadline().expect("something is on the wire") - now;
        (pacer, patience)
    }

    #[test]
    fn the_time_until_a_repetition_follows_the_round_trip() {
        let limits = PacerLimits::default();
        let after = |trips: &[u64]| patience_after(trips).1;
        assert_eq!(after(&[]), limits.timeout_first_ms, "nothing was measured");
        // A first trip may be an outlier: three times as long. What is steady is known better.
        assert_eq!((after(&[400]), after(&[400; 30])), (1_200, 410));
        assert_eq!((after(&[3_000]), after(&[3_000; 30])), (9_000, 3_010));
        assert_eq!((after(&[1]), after(&[1; 30])), (limits.timeout_min_ms, limits.timeout_min_ms));
        assert_eq!(after(&[50_000; 2]), limits.timeout_max_ms);
        let uneven: Vec<u64> = [300, 500].repeat(30);
        assert!(after(&uneven) > 600, "as long on average as 400, and less certain: {}", after(&uneven));
        let follows = |from: u64, to: u64| after(&[vec![from; 30], vec![to; 60]].concat());
        assert_eq!(follows(3_000, 20), limits.timeout_min_ms, "a way that became short");
        assert!((2_990..3_100).contains(&follows(20, 3_000)), "a way that became long: {}", follows(20, 3_000));
    }

    #[test]
    fn patience_grows_from_the_measured_round_trip_and_repetitions_measure_nothing() {
        let (mut pacer, patience) = patience_after(&[400; 30]);
        let (last, mut now) = (pacer.next_unsent() - 1, pacer.deadline().unwrap());
        for doubled in [820, 1_640, 3_280] {
            assert_eq!(pacer.on_time(now), [Speak::Message(last)]);
            pacer.sent(now, last, 10, Carried::Less);
            assert_eq!(pacer.deadline().unwrap() - now, doubled);
            now += doubled;
        }
        // Which of its copies this answers, nobody knows (Karn's rule).
        pacer.acknowledged(now + 50_000, last);
        assert_eq!(pacer.round_trip_ms(), Some(400));
        pacer.sent(now + 50_000, last + 1, 10, Carried::Less);
        assert_eq!(pacer.deadline(), Some(now + 50_000 + patience), "progress ends the patience");
    }

    proptest! {
        #[test]
        fn steady_round_trips_are_the_timeout_between_floor_and_cap(trip in 0u64..100_000) {
            let limits = PacerLimits::default();
            let (_, patience) = patience_after(&[trip; 60]);
            prop_assert_eq!(patience, (trip + 10).clamp(limits.timeout_min_ms, limits.timeout_max_ms));
        }

        #[test]
        fn no_round_trip_makes_the_timeout_leave_its_bounds(trips in proptest::collection::vec(0u64..1 << 40, 0..40)) {
            let limits = PacerLimits::default();
            let (_, patience) = patience_after(&trips);
            prop_assert!((limits.timeout_min_ms..=limits.timeout_max_ms).contains(&patience));
        }

        /// Whatever is sent, lost and acknowledged: numbers go out in order, and as long as something is on the wire
        /// the timer runs.
        #[test]
        fn something_on_the_wire_always_has_a_timer(moves in proptest::collection::vec((0u8..4, 0u64..40), 0..200)) {
            let mut pacer = pacer();
            let (mut now, mut highest, mut durable_end, mut acked) = (0, 0, 1, 0);
            for (what, amount) in moves {
                now += amount;
                match what {
                    0 => durable_end += amount,
                    1 => while let Some(seq) = pacer.next_to_send(durable_end) {
                        prop_assert_eq!(seq, highest + 1);
                        highest = seq;
                        pacer.sent(now, seq, 1000, Carried::EverythingOwed);
                    },
                    2 => { acked = highest.min(acked + amount); if acked > 0 { pacer.acknowledged(now, acked); } }
                    _ => for speak in pacer.on_time(now) {
                        if let Speak::Message(seq) = speak {
                            prop_assert_eq!(seq, acked + 1);
                            pacer.sent(now, seq, 1000, Carried::Less);
                        }
                    },
                }
                prop_assert_eq!(pacer.deadline().is_some(), highest > acked);
            }
        }
    }
}
