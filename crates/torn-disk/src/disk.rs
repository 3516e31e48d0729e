//! The disk: operations on files, which are counted, and fail or are frozen as a test wants.
//!
//! What always holds: a frozen state is as it was just before its operation. Not here: what a cut of the power leaves
//! (`files`).

use crate::files::Files;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens to one operation on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and does nothing. What follows succeeds.
    Error,
    /// It fails because there is no room, and so does all that follows and needs some.
    Full,
    /// A write fails with half of it written; others fail and do nothing. What follows succeeds.
    Short,
    /// It fails, and so does everything that follows: the process is dead.
    Dead,
}

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    Error,
    Full,
    Missing,
}

/// The disk as it was just before one operation.
#[derive(Clone)]
pub struct Frozen {
    files: Files,
    /// The operation's number.
    pub operation: u64,
    /// What `TornDisk::mark` was told last.
    pub mark: u64,
}

impl Frozen {
    /// The same with another mark.
    #[must_use]
    pub fn marked(self, mark: u64) -> Self {
        Self { mark, ..self }
    }
}

#[derive(Default)]
pub(crate) struct Inside {
    files: Files,
    operations: u64,
    reads: u64,
    fault: Option<(u64, Fault)>,
    read_fault: Option<u64>,
    full: bool,
    dead: bool,
    lies: bool,
    mark: u64,
    /// How many operations lie between two frozen states.
    watch: Option<u64>,
    frozen: Vec<Frozen>,
}

/// A disk. Programs reach it through the VFS, under the directory `dir()`, until it is dropped.
pub struct TornDisk {
    id: u64,
    inside: Arc<Mutex<Inside>>,
}

static DISKS: Mutex<BTreeMap<u64, Arc<Mutex<Inside>>>> = Mutex::new(BTreeMap::new());
static LAST_DISK: AtomicU64 = AtomicU64::new(0);

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed elsewhere is no reason to fail here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk on which this path is.
pub(crate) fn disk_of(path: &Path) -> Option<Arc<Mutex<Inside>>> {
    let id = path.iter().nth(2)?.to_str()?.parse().ok()?;
    lock(&DISKS).get(&id).cloned()
}

impl Default for TornDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl TornDisk {
    /// An empty one.
    pub fn new() -> Self {
        crate::vfs::register();
        let id = LAST_DISK.fetch_add(1, Ordering::Relaxed) + 1;
        let inside = Arc::new(Mutex::new(Inside::default()));
        lock(&DISKS).insert(id, Arc::clone(&inside));
        Self { id, inside }
    }

    /// One as it was then, its power just cut: of what was not durable, a part chosen by `seed` survives. Seed 0 keeps
    /// nothing of it, seed 1 everything.
    pub fn after_cut(frozen: &Frozen, seed: u64) -> Self {
        let disk = Self::new();
        // Paths name their disk, so they change with it.
        let mut files = frozen.files.clone();
        files.cut(seed);
        files.rebase(&disk.dir());
        lock(&disk.inside).files = files;
        disk
    }

    /// The directory for the files.
    pub fn dir(&self) -> PathBuf {
        PathBuf::from(format!("/torn/{}", self.id))
    }

    /// Makes an empty file, unless there is one.
    pub fn touch(&self, path: &Path) {
        let mut inside = lock(&self.inside);
        if inside.files.find(path).is_none() {
            inside.files.create(path);
        }
    }

    /// A function that tells the length of a file, if there is one.
    pub fn file_len(&self) -> impl Fn(&Path) -> Option<u64> + Send + use<> {
        let inside = Arc::clone(&self.inside);
        move |path| lock(&inside).len(path).map(|len| len as u64)
    }

    /// How many operations there were: writes, truncations, syncs, creations and deletions of files.
    pub fn operations(&self) -> u64 {
        lock(&self.inside).operations
    }

    /// How many reads there were.
    pub fn reads(&self) -> u64 {
        lock(&self.inside).reads
    }

    /// Lets the operation of this number fail.
    pub fn fault_at(&self, operation: u64, fault: Fault) {
        lock(&self.inside).fault = Some((operation, fault));
    }

    /// Lets the read of this number fail.
    pub fn fail_read_at(&self, read: u64) {
        lock(&self.inside).read_fault = Some(read);
    }

    /// Lets syncs do nothing from now on.
    pub fn ignore_syncs(&self) {
        lock(&self.inside).lies = true;
    }

    /// Ends all faults and lies.
    pub fn mend(&self) {
        let mut inside = lock(&self.inside);
        (inside.fault, inside.read_fault) = (None, None);
        (inside.full, inside.dead, inside.lies) = (false, false, false);
    }

    /// A note to keep with frozen states.
    pub fn mark(&self, mark: u64) {
        lock(&self.inside).mark = mark;
    }

    /// Freezes the state before every `every`-th operation from now on.
    pub fn watch(&self, every: u64) {
        lock(&self.inside).watch = Some(every);
    }

    /// The state as it is now.
    pub fn freeze(&self) -> Frozen {
        lock(&self.inside).freeze()
    }

    /// Takes the states frozen so far.
    pub fn frozen(&self) -> Vec<Frozen> {
        std::mem::take(&mut lock(&self.inside).frozen)
    }
}

impl Drop for TornDisk {
    fn drop(&mut self) {
        lock(&DISKS).remove(&self.id);
    }
}

impl Inside {
    fn freeze(&self) -> Frozen {
        Frozen { files: self.files.without_now(), operation: self.operations, mark: self.mark }
    }

    /// Counts an operation. Returns its fault, if it has one.
    fn operation(&mut self) -> Result<Option<Fault>, Failed> {
        if self.dead {
            return Err(Failed::Error);
        }
        if self.watch.is_some_and(|every| self.operations.is_multiple_of(every)) {
            let frozen = self.freeze();
            self.frozen.push(frozen);
        }
        let fault = self.fault.filter(|(number, _)| *number == self.operations).map(|(_, fault)| fault);
        self.operations += 1;
        match fault {
            Some(Fault::Dead) => self.dead = true,
            Some(Fault::Full) => self.full = true,
            _ => {}
        }
        Ok(fault)
    }

    fn whole_operation(&mut self) -> Result<(), Failed> {
        match self.operation()? {
            None | Some(Fault::Full) => Ok(()),
            Some(_) => Err(Failed::Error),
        }
    }

    pub(crate) fn read(&mut self, id: u64, at: usize, into: &mut [u8]) -> Result<usize, Failed> {
        let number = self.reads;
        self.reads += 1;
        if self.dead || self.read_fault == Some(number) {
            return Err(Failed::Error);
        }
        let now = self.files.content(id).ok_or(Failed::Missing)?;
        let rest = now.get(at..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        into[count..].fill(0);
        Ok(count)
    }

    pub(crate) fn write(&mut self, id: u64, at: usize, bytes: &[u8]) -> Result<(), Failed> {
        let fault = self.operation()?;
        let full = self.full;
        let file = self.files.file(id).ok_or(Failed::Missing)?;
        let grows = at + bytes.len() > file.len();
        match fault {
            Some(Fault::Error) => return Err(Failed::Error),
            _ if full && grows => return Err(Failed::Full),
            // Whether it happened at all is then up to the cut.
            None | Some(Fault::Dead | Fault::Full) => file.write(at, bytes),
            Some(Fault::Short) => file.write(at, &bytes[..bytes.len() / 2]),
        }
        match fault {
            None | Some(Fault::Full) => Ok(()),
            Some(Fault::Short) => Err(Failed::Full),
            Some(_) => Err(Failed::Error),
        }
    }

    pub(crate) fn truncate(&mut self, id: u64, len: usize) -> Result<(), Failed> {
        self.whole_operation()?;
        self.files.file(id).ok_or(Failed::Missing)?.set_len(len);
        Ok(())
    }

    /// Makes a file durable, and the directory too if `names` says so.
    pub(crate) fn sync(&mut self, id: u64, names: Names) -> Result<(), Failed> {
        self.whole_operation()?;
        if self.lies {
            return Ok(());
        }
        self.files.file(id).ok_or(Failed::Missing)?.sync();
        if names == Names::Too {
            self.files.sync_names();
        }
        Ok(())
    }

    pub(crate) fn find(&self, path: &Path) -> Option<u64> {
        self.files.find(path)
    }

    pub(crate) fn create(&mut self, path: &Path) -> Result<u64, Failed> {
        self.whole_operation()?;
        if self.full { Err(Failed::Full) } else { Ok(self.files.create(path)) }
    }

    pub(crate) fn delete(&mut self, path: &Path, names: Names) -> Result<(), Failed> {
        if self.find(path).is_none() {
            return Err(Failed::Missing);
        }
        self.whole_operation()?;
        self.files.delete(path);
        if names == Names::Too && !self.lies {
            self.files.sync_names();
        }
        Ok(())
    }

    pub(crate) fn len(&self, path: &Path) -> Option<usize> {
        self.find(path).and_then(|id| self.len_of(id))
    }

    pub(crate) fn len_of(&self, id: u64) -> Option<usize> {
        self.files.content(id).map(<[u8]>::len)
    }
}

/// Whether the names of files are made durable as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Too,
    Not,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(disk: &TornDisk, name: &str) -> Option<Vec<u8>> {
        let inside = lock(&disk.inside);
        inside.find(&disk.dir().join(name)).and_then(|id| inside.files.content(id).map(<[u8]>::to_vec))
    }

    /// A file of 4 KiB of ones, all of it durable, and then twos over it and after it that are not.
    fn half_durable() -> TornDisk {
        let disk = TornDisk::new();
        let path = disk.dir().join("a");
        let mut inside = lock(&disk.inside);
        let id = inside.create(&path).expect("created");
        inside.write(id, 0, &[1; 4096]).expect("written");
        inside.sync(id, Names::Too).expect("synced");
        inside.write(id, 100, &[2; 8000]).expect("written");
        inside.create(&disk.dir().join("b")).expect("created");
        drop(inside);
        disk
    }

    #[test]
    fn a_cut_keeps_what_was_synced_and_parts_of_the_rest() {
        let frozen = half_durable().freeze();
        assert_eq!(content(&TornDisk::after_cut(&frozen, 0), "a"), Some(vec![1; 4096]));
        assert_eq!(content(&TornDisk::after_cut(&frozen, 0), "b"), None);
        let whole = TornDisk::after_cut(&frozen, 1);
        assert_eq!(content(&whole, "a"), Some([vec![1; 100], vec![2; 8000]].concat()));
        assert_eq!(content(&whole, "b"), Some(Vec::new()));
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 2..200 {
            let left = content(&TornDisk::after_cut(&frozen, seed), "a").expect("its name is durable");
            assert!(left.len() >= 4096 && left[..100] == [1; 100], "what nobody wrote does not change");
            assert!(left[100..4096].iter().all(|byte| [1, 2].contains(byte)));
            kinds.insert(left);
        }
        assert!(kinds.len() > 50, "{}", kinds.len());
    }

    #[test]
    fn faults_come_when_they_should() {
        let disk = half_durable();
        let (number, path) = (disk.operations(), disk.dir().join("a"));
        let mut inside = lock(&disk.inside);
        let id = inside.find(&path).expect("there");
        inside.fault = Some((number + 1, Fault::Short));
        assert_eq!(inside.write(id, 0, &[3; 10]), Ok(()));
        assert_eq!(inside.write(id, 0, &[4; 10]), Err(Failed::Full));
        assert_eq!(inside.files.content(id).expect("there")[..10], [4, 4, 4, 4, 4, 3, 3, 3, 3, 3]);
        inside.fault = Some((number + 2, Fault::Full));
        assert_eq!(inside.write(id, 8100, &[5]), Err(Failed::Full));
        assert_eq!((inside.write(id, 0, &[5]), inside.sync(id, Names::Not)), (Ok(()), Ok(())));
        assert_eq!(inside.create(&disk.dir().join("c")), Err(Failed::Full));
        inside.full = false;
        inside.fault = Some((inside.operations, Fault::Dead));
        assert_eq!(inside.sync(id, Names::Not), Err(Failed::Error));
        assert_eq!(inside.truncate(id, 0), Err(Failed::Error));
        assert_eq!(inside.read(id, 0, &mut [0]), Err(Failed::Error));
    }
}
