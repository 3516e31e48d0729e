//! Every target on its committed corpus and on mutations of it, without libFuzzer: so a finding that was added to the
//! corpus is a test, and no target rots. The mutations are the same on every machine.

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use sturdy_fuzz::{TABLES, TARGETS, Target};
use sturdy_store::{Engine, MemoryEngine, Store};
use sturdy_types::Incarnation;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.display().to_string(), fs::read(&file).unwrap())).collect()
}

/// Marsaglia's xorshift: good enough to choose where to damage what.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let until = at + self.below(bytes.len() + 1 - at).min(16);
        match self.below(6) {
            0 => bytes.insert(at, self.byte()),
            1 => drop(bytes.drain(at..until)),
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.byte();
                }
            }
            4 => drop(bytes.splice(at..at, bytes[at..until].to_vec())),
            _ => {
                let from = self.below(other.len() + 1);
                let to = from + self.below(other.len() + 1 - from);
                drop(bytes.splice(at..until, other[from..to].iter().copied()));
            }
        }
    }
}

fn tried(target: &Target, what: &str, data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(data))).is_err() {
        let hex = data.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let text = String::from_utf8_lossy(data);
        panic!("`{}` fails on {what}\nas text: {text:?}\nas hex: {hex}", target.name);
    }
}

fn replayed_and_mutated(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(name);
    assert!(corpus.len() >= 3, "{name} has too small a corpus");
    for (file, data) in &corpus {
        tried(target, file, data);
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..target.tries {
        let (_, mut data) = corpus[dice.below(corpus.len())].clone();
        for _ in 0..=dice.below(4) {
            let other = dice.below(corpus.len());
            dice.mutate(&mut data, &corpus[other].1);
        }
        tried(target, &format!("mutation {round}"), &data);
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            replayed_and_mutated(stringify!($name));
        })*

        #[test]
        fn every_target_is_tested_and_has_a_binary() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            for name in names {
                assert!(fuzz_folder().join(format!("targets/{name}.rs")).exists(), "{name} has no binary");
            }
        }
    };
}

targets!(frames, packets, values, lines, rows, store, clusters, sources, urls, events);

#[test]
fn every_table_is_in_the_list() {
    let disk = MemoryEngine::new().shared();
    let store = Store::open(disk.engine(), Incarnation([1; 16])).unwrap();
    let mut engine = disk.snapshot();
    for tag in 0..=u8::MAX {
        if engine.get(&[tag]).unwrap().is_none() {
            engine.set_raw(&[tag], Some(&[]));
        }
    }
    disk.restore(engine);
    let mut known: Vec<_> = store.census().unwrap().into_keys().filter(|name| *name != "unknown").collect();
    let mut listed: Vec<_> = TABLES.iter().map(|table| table.name).collect();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
}
