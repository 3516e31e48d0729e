//! What the disk can do: append 4 KiB, make it durable, again and again, in the directory that is measured.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

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
