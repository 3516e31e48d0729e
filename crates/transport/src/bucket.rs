//! How often something may happen: a bucket that holds so many tokens and is refilled evenly. Sans-IO.
//!
//! What always holds: within any time `t` at most `capacity + t / refill` tokens are taken; a clock that stands still or
//! steps back gives none.

use std::time::{Duration, Instant};

/// A rate with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Tokens that may be taken at once.
    pub(crate) capacity: u32,
    /// Time for the whole capacity to come back.
    pub(crate) period: Duration,
}

/// Tokens of one rate.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    rate: Rate,
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: f64::from(rate.capacity.max(1)), filled_at: now }
    }

    /// Takes a token, or says how long until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.take_many(now, 1)
    }

    /// Takes many tokens, or says how long until there are as many. More than the capacity are given from a full bucket.
    pub(crate) fn take_many(&mut self, now: Instant, count: u32) -> Result<(), Duration> {
        let capacity = f64::from(self.rate.capacity.max(1));
        let per_token = self.rate.period.as_secs_f64() / capacity;
        if per_token <= 0.0 {
            return Ok(());
        }
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = capacity.min(self.tokens + passed / per_token);
        self.filled_at = self.filled_at.max(now);
        let needed = f64::from(count).min(capacity);
        if self.tokens >= needed {
            self.tokens -= needed;
            return Ok(());
        }
        // A microsecond more than it takes, so that rounding never asks for a second wait of nothing.
        Err(Duration::from_secs_f64((needed - self.tokens) * per_token) + Duration::from_micros(1))
    }

    /// True when nothing was taken for as long as it takes to forget everything.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.filled_at) >= self.rate.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_the_rate(steps in proptest::collection::vec((0u64..400, 1u32..4), 1..200)) {
            let start = Instant::now();
            let rate = Rate { capacity: 5, period: Duration::from_secs(1) };
            let mut bucket = Bucket::full(rate, start);
            let (mut now, mut taken) = (start, 0u32);
            for (millis, count) in steps {
                now += Duration::from_millis(millis);
                match bucket.take_many(now, count) {
                    Ok(()) => taken += count,
                    Err(wait) => {
                        let mut later = bucket.clone();
                        prop_assert!(wait <= rate.period + Duration::from_millis(1));
                        prop_assert!(later.take_many(now + wait, count).is_ok());
                    }
                }
                let most = 5.0 + (now - start).as_secs_f64() * 5.0;
                prop_assert!(f64::from(taken) <= most + 0.001, "{taken} of {most}");
            }
        }
    }

    #[test]
    fn a_rate_without_period_permits_everything() {
        let mut bucket = Bucket::full(Rate { capacity: 0, period: Duration::ZERO }, Instant::now());
        assert!((0..100).all(|_| bucket.take(Instant::now()).is_ok()));
    }
}
