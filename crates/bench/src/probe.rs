//! What the disk can do (append 4 KiB, make it durable, again and again, in the directory that is measured), and what
//! this process has computed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Seconds of computing by this process's one thread, where the system tells them: what others do meanwhile does not
/// count. Elsewhere the time that passed.
pub struct Computing {
    passed: Instant,
    before: Option<f64>,
}

impl Computing {
    pub fn begin() -> Self {
        Self { passed: Instant::now(), before: computed() }
    }

    pub fn seconds(&self) -> f64 {
        match (self.before, computed()) {
            (Some(before), Some(now)) => now - before,
            _ => self.passed.elapsed().as_secs_f64(),
        }
    }
}

fn computed() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// MiB per second of one long write that is made durable at its end.
pub fn mebibytes_per_second(dir: &Path, mebibytes: usize) -> f64 {
    let mut file = File::create(dir.join("probe")).expect("the directory can be written");
    let block = vec![7u8; 1 << 20];
    let start = Instant::now();
    for _ in 0..mebibytes {
        file.write_all(&block).expect("the file can be written");
    }
    file.sync_data().expect("the disk is fine");
    mebibytes as f64 / start.elapsed().as_secs_f64()
}

/// Durable appends per second.
pub fn appends_per_second(dir: &Path, count: usize) -> f64 {
    let mut file = File::create(dir.join("probe")).expect("the directory can be written");
    let block = [7u8; 4096];
    let start = Instant::now();
    for _ in 0..count {
        file.write_all(&block).expect("the file can be written");
        file.sync_data().expect("the disk is fine");
    }
    count as f64 / start.elapsed().as_secs_f64()
}
