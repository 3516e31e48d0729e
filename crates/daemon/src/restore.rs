//! Putting a store back from a copy. It begins another life, so that peers, which may remember more than it does, notice.
//!
//! What always holds: the copy is only read; what is put in place is complete, verified, recounted and durable, and begins
//! its new life before anybody can open it; a store that was there is moved aside, never deleted. A restoration that was
//! cut off is finished by whoever opens the home next, or that one stops: an empty kernel never begins in its place.

use crate::boot::store_dir;
use crate::death;
use crate::look::LookError;
use crate::rest::{RestError, RestingKernel};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use sturdy_node::kernel::audit;
use sturdy_store_sqlite::{OpenError, SqliteEngine, make_private_dir, store_file, tighten};
use sturdy_types::Incarnation;

/// What to do with a store that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it, and restore nothing.
    Keep,
    /// Move it aside.
    MoveAside,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The new life of the store.
    pub incarnation: Incarnation,
    /// Where the store is that was there.
    pub moved_to: Option<PathBuf>,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is nothing to restore from.
    #[error("{0} holds no store; name a copy of store.sqlite, or of the folder that it lies in")]
    NoCopy(PathBuf),
    /// The copy is what would be replaced.
    #[error("{0} is the store itself and no copy of it; nothing was restored")]
    Itself(PathBuf),
    /// The copy is what a restoration that was cut off has left, and would be cleared away.
    #[error("{0} lies where restorations are made; move its folder elsewhere and name it there. Nothing was restored")]
    InTheWay(PathBuf),
    /// There is a store.
    #[error("{0} exists already; it is left as it is. To move it aside and put the copy in its place, say --force")]
    Exists(PathBuf),
    /// What would be restored is not sound.
    #[error("the copy is not sound (problems: {problems}), the first: {first}; nothing was restored")]
    Unsound {
        /// How many.
        problems: usize,
        /// The first of them.
        first: String,
    },
    /// A file cannot be read, written or moved.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The store that is there, or the copy, cannot be opened.
    #[error(transparent)]
    Place(#[from] OpenError),
    /// The copy cannot be begun with.
    #[error(transparent)]
    Rest(#[from] RestError),
}

/// Why a home without a store is not begun with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CutOff {
    /// What was to be put in place is not complete.
    #[error(
        "a restoration was cut off here before {} was complete, and there is no store; restore again, or delete that \
         folder to begin with an empty one",
        .0.display()
    )]
    Incomplete(PathBuf),
    /// A file cannot be moved.
    #[error("a restoration that was cut off cannot be finished: {path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Puts a copy of a store into this home directory: a file, or a directory in which one lies.
pub fn restore_store(home: &Path, copy: &Path, existing: Existing) -> Result<Restored, RestoreError> {
    let source = find(copy)?;
    let place = store_dir(home);
    let is_there = store_file(&place).exists();
    if is_there && existing == Existing::Keep {
        return Err(RestoreError::Exists(place));
    }
    // Nobody may be using what is moved aside, nor what is copied. A store too damaged to be opened is in nobody's use.
    let _theirs = in_nobodys_use(source.parent().unwrap_or(Path::new(".")))?;
    let real = |path: &Path| fs::canonicalize(path).ok();
    if is_there && real(&source) == real(&store_file(&place)) {
        return Err(RestoreError::Itself(source));
    }
    let _ours = in_nobodys_use(&place)?;
    let aside = begun_in(home);
    for folder in [&aside, &complete_in(home)] {
        if real(&source).is_some_and(|found| Some(found) == real(&store_file(folder))) {
            return Err(RestoreError::InTheWay(source));
        }
    }
    clear(&aside)?;
    clear(&complete_in(home))?;
    make_private_dir(&aside).map_err(on(&aside))?;
    for suffix in ["", "-wal"] {
        copy_file(&with(&source, suffix), &with(&store_file(&aside), suffix), suffix.is_empty())?;
    }
    tighten(&aside); // what was copied has the permissions of the copy
    let begun = begin(&aside);
    let incarnation = match begun {
        Ok(incarnation) => incarnation,
        Err(error) => {
            let _left = fs::remove_dir_all(&aside);
            return Err(error);
        }
    };
    // Its name tells whoever comes after a crash that nothing is missing.
    let complete = complete_in(home);
    fs::rename(&aside, &complete).map_err(on(&complete))?;
    sync(home).map_err(on(home))?;
    let moved_to = if place.exists() { Some(move_aside(&place)?) } else { None };
    put_in_place(home).map_err(on(&place))?;
    Ok(Restored { incarnation, moved_to })
}

/// Before a home is begun with in which there may be no store: finishes the restoration that was cut off, if one was.
pub(crate) fn finish(home: &Path) -> Result<(), CutOff> {
    let place = store_dir(home);
    if place.exists() {
        return Ok(());
    }
    if complete_in(home).exists() {
        return match put_in_place(home) {
            // Somebody else was faster.
            Err(_) if place.exists() => Ok(()),
            done => done.map_err(|source| CutOff::File { path: place, source }),
        };
    }
    let begun = begun_in(home);
    if begun.exists() { Err(CutOff::Incomplete(begun)) } else { Ok(()) }
}

/// Where what is restored is made.
fn begun_in(home: &Path) -> PathBuf {
    home.join("store.restoring")
}

/// Where it lies when it is complete.
fn complete_in(home: &Path) -> PathBuf {
    home.join("store.restored")
}

fn put_in_place(home: &Path) -> io::Result<()> {
    // The note of a death was about another life.
    death::forget(home)?;
    fs::rename(complete_in(home), store_dir(home))?;
    sync(home)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The file with the rows, in a home directory, in a store's directory, or named itself.
fn find(copy: &Path) -> Result<PathBuf, RestoreError> {
    let places = [copy.to_owned(), store_file(copy), store_file(&store_dir(copy))];
    places.into_iter().find(|path| path.is_file()).ok_or_else(|| RestoreError::NoCopy(copy.to_owned()))
}

fn in_nobodys_use(dir: &Path) -> Result<Option<SqliteEngine>, RestoreError> {
    // Not every folder with a copy in it is the directory of a store.
    if !dir.join("lock").exists() || !store_file(dir).exists() {
        return Ok(None);
    }
    match SqliteEngine::open(dir) {
        Ok(engine) => Ok(Some(engine)),
        Err(locked @ OpenError::Locked { .. }) => Err(locked.into()),
        Err(_damaged) => Ok(None),
    }
}

/// Verifies what was copied, and begins its new life.
fn begin(dir: &Path) -> Result<Incarnation, RestoreError> {
    let look = |error: LookError| RestoreError::Rest(RestError::Look(error));
    let engine = SqliteEngine::open(dir)?;
    engine.verify().map_err(|error| look(error.into()))?;
    let mut kernel = RestingKernel::over(Box::new(engine)).map_err(look)?;
    kernel.store().verify().map_err(|error| look(error.into()))?;
    let problems = audit(kernel.store()).map_err(|fault| look(fault.into()))?.problems;
    if let Some(first) = problems.first() {
        return Err(RestoreError::Unsound { problems: problems.len(), first: first.clone() });
    }
    let incarnation = kernel.renew()?;
    kernel.tidy_up()?;
    Ok(incarnation)
}

fn copy_file(from: &Path, to: &Path, needed: bool) -> Result<(), RestoreError> {
    match fs::copy(from, to) {
        Ok(_) => File::options().write(true).open(to).and_then(|file| file.sync_all()).map_err(on(to)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !needed => Ok(()),
        Err(error) => Err(on(from)(error)),
    }
}

fn move_aside(place: &Path) -> Result<PathBuf, RestoreError> {
    let free = (1..=u32::MAX).map(|number| with(place, &format!(".old-{number}"))).find(|path| !path.exists());
    let to = free.expect("there are more numbers than files");
    tighten(place);
    fs::rename(place, &to).map_err(on(place))?;
    Ok(to)
}

/// What a restoration that was cut off has left.
fn clear(dir: &Path) -> Result<(), RestoreError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(on(dir)(error)),
        _ => Ok(()),
    }
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn on(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::File { path, source }
}
