//! Files and their names: what programs see, what is durable, and what of the rest a cut of the power leaves.
//!
//! What always holds: what was synced is left by every cut; bytes that nobody wrote are never changed. Not here: which
//! operations fail (`disk`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A change that is not durable yet.
#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Arc<[u8]> },
    Len(usize),
}

/// A file: as programs see it, and what is durable of it.
#[derive(Clone, Default)]
pub(crate) struct File {
    now: Vec<u8>,
    durable: Arc<Vec<u8>>,
    pending: Vec<Change>,
}

/// A change of the directory that is not durable yet.
#[derive(Clone)]
enum NameChange {
    Create(PathBuf, u64),
    Delete(PathBuf),
}

/// All that a cut of the power works on.
#[derive(Clone, Default)]
pub(crate) struct Files {
    by_id: BTreeMap<u64, File>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    pending_names: Vec<NameChange>,
    last_id: u64,
}

impl Files {
    pub(crate) fn file(&mut self, id: u64) -> Option<&mut File> {
        self.by_id.get_mut(&id)
    }

    /// A file as programs see it.
    pub(crate) fn content(&self, id: u64) -> Option<&[u8]> {
        self.by_id.get(&id).map(|file| file.now.as_slice())
    }

    pub(crate) fn find(&self, path: &Path) -> Option<u64> {
        self.names.get(path).copied()
    }

    pub(crate) fn create(&mut self, path: &Path) -> u64 {
        self.last_id += 1;
        self.by_id.insert(self.last_id, File::default());
        self.names.insert(path.to_owned(), self.last_id);
        self.pending_names.push(NameChange::Create(path.to_owned(), self.last_id));
        self.last_id
    }

    pub(crate) fn delete(&mut self, path: &Path) {
        self.names.remove(path);
        self.pending_names.push(NameChange::Delete(path.to_owned()));
    }

    pub(crate) fn sync_names(&mut self) {
        self.durable_names = self.names.clone();
        self.pending_names.clear();
    }

    /// The same without what programs see: that is not needed after a cut, and would cost a copy.
    pub(crate) fn without_now(&self) -> Self {
        let files = self.by_id.iter().map(|(&id, file)| {
            (id, File { now: Vec::new(), durable: Arc::clone(&file.durable), pending: file.pending.clone() })
        });
        Self {
            by_id: files.collect(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending_names: self.pending_names.clone(),
            last_id: self.last_id,
        }
    }

    /// The power is cut: everything becomes what `seed` lets survive.
    pub(crate) fn cut(&mut self, seed: u64) {
        let mut luck = Luck::new(seed);
        for change in std::mem::take(&mut self.pending_names) {
            if luck.keeps() {
                match change {
                    NameChange::Create(path, id) => self.durable_names.insert(path, id),
                    NameChange::Delete(path) => self.durable_names.remove(&path),
                };
            }
        }
        self.names = self.durable_names.clone();
        let names = &self.names;
        self.by_id.retain(|id, _| names.values().any(|named| named == id));
        for file in self.by_id.values_mut() {
            file.cut(&mut luck);
        }
    }

    /// Moves all files into another directory.
    pub(crate) fn rebase(&mut self, dir: &Path) {
        let moved = |names: &BTreeMap<PathBuf, u64>| {
            names.iter().filter_map(|(path, &id)| Some((dir.join(path.file_name()?), id))).collect()
        };
        self.names = moved(&self.names);
        self.durable_names = moved(&self.durable_names);
    }
}

impl File {
    pub(crate) fn len(&self) -> usize {
        self.now.len()
    }

    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        let len = self.now.len();
        put(&mut self.now, at, bytes, 0);
        self.pending.push(Change::Write { at, bytes: bytes.into() });
        if self.now.len() > len {
            // The new length may survive without the bytes.
            self.pending.push(Change::Len(self.now.len()));
        }
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        self.now.resize(len, 0);
        self.pending.push(Change::Len(len));
    }

    /// What programs see is durable now.
    pub(crate) fn sync(&mut self) {
        if !self.pending.is_empty() {
            self.durable = Arc::new(self.now.clone());
            self.pending.clear();
        }
    }

    fn cut(&mut self, luck: &mut Luck) {
        let mut left = Vec::clone(&self.durable);
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Len(len) if luck.keeps() => left.resize(len, luck.filler),
                Change::Len(_) => {}
                Change::Write { at, bytes } => {
                    let mut from = 0;
                    while from < bytes.len() {
                        let to = bytes.len().min(from + luck.grain - (at + from) % luck.grain);
                        if luck.keeps() {
                            put(&mut left, at + from, &bytes[from..to], luck.filler);
                        }
                        from = to;
                    }
                }
            }
        }
        self.now.clone_from(&left);
        self.durable = Arc::new(left);
    }
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8], filler: u8) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), filler);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// What survives: pieces of this size, so many of 16, gaps filled with this byte.
struct Luck {
    state: u64,
    kept_of_16: u64,
    grain: usize,
    filler: u8,
}

impl Luck {
    fn new(seed: u64) -> Self {
        let mut luck = Self { state: seed ^ 0x9e37_79b9_7f4a_7c15, kept_of_16: 0, grain: 512, filler: 0 };
        if seed == 1 {
            luck.kept_of_16 = 16;
        } else if seed > 1 {
            luck.kept_of_16 = [1, 4, 8, 12, 15, 15][luck.below(6)];
            luck.grain = [512, 512, 4096, 64][luck.below(4)];
            luck.filler = [0, 0, 0xff, 0x5a][luck.below(4)];
        }
        luck
    }

    fn below(&mut self, sides: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 40).unwrap_or(0) % sides
    }

    fn keeps(&mut self) -> bool {
        (self.below(16) as u64) < self.kept_of_16
    }
}
