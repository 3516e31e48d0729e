//! What was said in one direction of a conversation, as one number (link L8).
//!
//! What always holds: both sides compute the same number from the same frames in the same order. Two different pasts have
//! different numbers but for chance; whoever wants to make two pasts look alike harms nobody but himself.

/// The past of one direction of a conversation, up to some number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct History(pub u64);

impl History {
    /// The past with one more message, whose frame has this digest.
    #[must_use]
    pub const fn then(self, digest: u64) -> Self {
        Self(step(self.0.wrapping_add(1), digest))
    }
}

/// The pasts of both directions, as one side has seen them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Histories {
    /// What it has said and was acknowledged: everything below its first pending number.
    pub acknowledged: History,
    /// What it has received: everything up to its highest received number.
    pub received: History,
}

const PRIME: u64 = 0x0100_0000_01b3;

const fn step(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(PRIME).rotate_left(29)
}

/// Tells frames apart. Frames may be long: four words at a time, which do not wait for each other.
pub fn digest(frame: &[u8]) -> u64 {
    let (blocks, rest) = frame.as_chunks::<32>();
    let mut lanes = [1_u64, 2, 3, 4].map(|lane| 0xcbf2_9ce4_8422_2325 ^ lane);
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(*word));
        }
    }
    let hash = lanes.into_iter().fold(frame.len() as u64, step);
    rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn past(frames: &[Vec<u8>]) -> History {
        frames.iter().fold(History::default(), |past, frame| past.then(digest(frame)))
    }

    #[test]
    fn zeros_of_different_length_are_told_apart() {
        let digests: std::collections::BTreeSet<u64> = (0..200).map(|length| digest(&vec![0; length])).collect();
        assert_eq!(digests.len(), 200);
        assert_ne!(History::default().then(0), History::default());
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_told_apart(
            mut frame in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bits in 1u8..,
        ) {
            let before = digest(&frame);
            *at.get_mut(&mut frame) ^= bits;
            prop_assert_ne!(digest(&frame), before);
        }

        #[test]
        fn order_and_number_of_frames_count(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..6),
            at in any::<prop::sample::Index>(),
        ) {
            let mut shorter = frames.clone();
            shorter.remove(at.index(frames.len()));
            prop_assert_ne!(past(&shorter), past(&frames));
            let mut turned = frames.clone();
            turned.rotate_left(at.index(frames.len()));
            prop_assert_eq!(past(&turned) == past(&frames), turned == frames);
        }
    }
}
