//! Chance for tests that kill processes at random moments.

use std::time::SystemTime;

/// A small generator (`SplitMix64`): the same seed, the same test.
pub struct Chance(u64);

impl Chance {
    /// Of the seed in `STURDY_SEED`, or a fresh one, which is printed.
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let fresh = || since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos());
        let seed = std::env::var("STURDY_SEED").map_or_else(|_| fresh(), |text| text.parse().unwrap());
        println!("seed {seed} (repeat with STURDY_SEED={seed})");
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
