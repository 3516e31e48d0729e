//! Notices that the machine has slept: the clock on the wall went on and the one that counts running time did not.
//! Sans-IO.

use std::time::{Duration, Instant, SystemTime};

/// How much more time must have passed on the wall (the reference's measure, wire-protocol §7).
const JUMP: Duration = Duration::from_secs(30);

/// Both clocks, as they were when last looked at.
#[derive(Debug)]
pub(crate) struct Clocks {
    wall: SystemTime,
    running: Instant,
}

impl Clocks {
    pub(crate) fn new(wall: SystemTime, running: Instant) -> Self {
        Self { wall, running }
    }

    /// Looks at both; true if the machine slept since the last look. A wall clock that is set back proves nothing.
    pub(crate) fn slept(&mut self, wall: SystemTime, running: Instant) -> bool {
        let on_the_wall = wall.duration_since(self.wall).unwrap_or_default();
        let awake = running.saturating_duration_since(self.running);
        *self = Self { wall, running };
        on_the_wall > awake + JUMP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_is_sleep() {
        let (wall, running) = (SystemTime::now(), Instant::now());
        let secs = Duration::from_secs;
        let mut clocks = Clocks::new(wall, running);
        assert!(!clocks.slept(wall + secs(15), running + secs(15)));
        assert!(!clocks.slept(wall + secs(50), running + secs(30)), "a clock that was set a little");
        assert!(clocks.slept(wall + secs(3665), running + secs(45)));
        assert!(!clocks.slept(wall + secs(10), running + secs(60)), "set back");
        assert!(!clocks.slept(wall + secs(25), running + secs(75)));
    }
}
