//! Chance: numbers that follow from a seed.
//!
//! What always holds: the same seed and stream give the same numbers on every machine. Every step of a run has a stream
//! of its own, so that leaving one step out does not change what the others draw.

use oorandom::Rand64;

/// A source of numbers.
pub struct Dice(Rand64);

impl Dice {
    /// The numbers of one stream under a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(Rand64::new((u128::from(seed) << 64) | u128::from(stream)))
    }

    /// A number below `bound`; 0 if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.rand_range(0..bound.max(1) as u64)).expect("it is below a usize")
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.rand_range(low..high + 1)
    }

    /// True this often in ten thousand times.
    pub fn happens(&mut self, in_ten_thousand: u32) -> bool {
        self.below(10_000) < in_ten_thousand as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())].clone()) }
    }

    /// An index, drawn in proportion to the weights.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut left = self.below(total as usize);
        for (index, weight) in weights.iter().enumerate() {
            let weight = *weight as usize;
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}
