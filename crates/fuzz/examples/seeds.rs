//! Makes the seeds that are not written by hand: a stream of frames that the reference sent, and one row of each table that
//! the events of `fuzz/corpus/events` leave in a store. Run in the root:
//! `cargo run --package sturdy-fuzz --example seeds`.

use std::fs;
use std::io;
use std::path::Path;
use sturdy_fuzz::{TABLES, rows_after};

const CAPTURED: &str = include_str!("../../remote/tests/data/reference-frames.hex");

fn main() -> io::Result<()> {
    let corpus = Path::new("fuzz/corpus");
    let captured: Vec<Vec<u8>> = CAPTURED.lines().map(unhex).collect();
    fs::create_dir_all(corpus.join("frames"))?;
    for (name, cut, count) in [("captured", 255, 4), ("captured-in-pieces", 6, 3)] {
        let mut stream = vec![cut];
        stream.extend(captured.iter().take(count).flatten());
        fs::write(corpus.join(format!("frames/{name}.bin")), stream)?;
    }
    let mut rows = Vec::new();
    let mut files: Vec<_> = fs::read_dir(corpus.join("events"))?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        rows.extend(rows_after(&fs::read(file.path())?));
    }
    fs::create_dir_all(corpus.join("rows"))?;
    for table in TABLES {
        let Some((key, record)) = rows.iter().find(|(key, _)| key.first() == Some(&table.tag)) else {
            println!("no row of {}", table.name);
            continue;
        };
        let mut seed = vec![u8::try_from(key.len()).unwrap_or(u8::MAX)];
        seed.extend_from_slice(key);
        seed.extend_from_slice(record);
        fs::write(corpus.join(format!("rows/{}.bin", table.name)), seed)?;
    }
    Ok(())
}

fn unhex(line: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    line.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, hex| byte << 4 | digit(*hex))).collect()
}
