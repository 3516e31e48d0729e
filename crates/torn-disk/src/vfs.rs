//! How `SQLite` gets at the disks: one virtual file system for all of them, which finds the disk by the path.
//!
//! What always holds: every function here is called by `SQLite` only, with pointers that are valid as its documents
//! say; a file's first field is what `SQLite` knows of it, and the box behind the second is freed in `close`. There is
//! no shared memory, so a database in WAL mode opens in the exclusive locking mode only; locks always succeed, because
//! one connection at a time uses a disk. What unix files do with names is done here too: the first sync of a new log or
//! journal makes its name durable.
//!
//! Unsafe, and the only such file of this crate: a VFS is a table of C functions, and no crate that wraps it builds
//! without a C parser on the machine.
#![allow(unsafe_code)]

use crate::disk::{Failed, Inside, Names, disk_of, lock};
use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, Once};

/// The name of the virtual file system.
pub const VFS: &str = "sturdy-torn-disk";
const C_NAME: &CStr = c"sturdy-torn-disk";
const MAX_PATH: c_int = 512;

/// As `SQLite` sees an open file.
#[repr(C)]
struct RawFile {
    base: sqlite3_file,
    open: *mut Open,
}

struct Open {
    disk: Arc<Mutex<Inside>>,
    id: u64,
    path: PathBuf,
    names: Names,
    deleted_on_close: bool,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_level),
    xUnlock: Some(lock_level),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Makes the virtual file system known to `SQLite`, once.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let size = c_int::try_from(size_of::<RawFile>()).expect("a file is small");
        let vfs = sqlite3_vfs {
            iVersion: 2,
            szOsFile: size,
            mxPathname: MAX_PATH,
            pNext: ptr::null_mut(),
            zName: C_NAME.as_ptr(),
            pAppData: ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: None,
            xCurrentTimeInt64: Some(current_time_int64),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        };
        // SAFETY: the table lives for ever, and nobody else has it.
        let done = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) };
        assert_eq!(done, ffi::SQLITE_OK, "SQLite takes a virtual file system");
    });
}

fn code(result: Result<(), Failed>, error: c_int) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(Failed::Full) => ffi::SQLITE_FULL,
        Err(Failed::Error | Failed::Missing) => error,
    }
}

/// The open file behind that of `SQLite`.
unsafe fn opened<'a>(file: *mut sqlite3_file) -> &'a mut Open {
    // SAFETY: `open` put the box there, and only `close` takes it away.
    unsafe { &mut *(*file.cast::<RawFile>()).open }
}

unsafe fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: SQLite's names end with a zero.
    let name = unsafe { CStr::from_ptr(name) };
    Path::new(&*name.to_string_lossy()).to_owned()
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives room for a `RawFile`; without methods it does not call `close` after a failure.
    unsafe { (*file).pMethods = ptr::null() };
    // Temporary files, which have no name, are kept in memory by the engine's settings.
    if name.is_null() {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: checked above.
    let path = unsafe { path_of(name) };
    let Some(disk) = disk_of(&path) else { return ffi::SQLITE_CANTOPEN };
    let found = lock(&disk).find(&path);
    let new_log = flags & ffi::SQLITE_OPEN_CREATE != 0
        && flags & (ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL) != 0;
    let id = match found {
        Some(id) => id,
        None if flags & ffi::SQLITE_OPEN_CREATE == 0 => return ffi::SQLITE_CANTOPEN,
        None => match lock(&disk).create(&path) {
            Ok(id) => id,
            Err(Failed::Full) => return ffi::SQLITE_FULL,
            Err(_) => return ffi::SQLITE_CANTOPEN,
        },
    };
    let names = if new_log { Names::Too } else { Names::Not };
    let deleted_on_close = flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0;
    let open = Box::into_raw(Box::new(Open { disk, id, path, names, deleted_on_close }));
    // SAFETY: as above; `out_flags` may be null.
    unsafe {
        (*file.cast::<RawFile>()).open = open;
        (*file).pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once.
    let open = unsafe { Box::from_raw((*file.cast::<RawFile>()).open) };
    if open.deleted_on_close {
        let _ = lock(&open.disk).delete(&open.path, Names::Not);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, count: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives `count` bytes.
    let (open, into) = unsafe { (opened(file), std::slice::from_raw_parts_mut(into.cast::<u8>(), size(count.into()))) };
    match lock(&open.disk).read(open.id, size(at), into) {
        Ok(read) if read == into.len() => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, count: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives `count` bytes.
    let (open, from) = unsafe { (opened(file), std::slice::from_raw_parts(from.cast::<u8>(), size(count.into()))) };
    code(lock(&open.disk).write(open.id, size(at), from), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, len: sqlite3_int64) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    code(lock(&open.disk).truncate(open.id, size(len)), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let done = lock(&open.disk).sync(open.id, open.names);
    if done.is_ok() {
        open.names = Names::Not;
    }
    code(done, ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, len: *mut sqlite3_int64) -> c_int {
    // SAFETY: an open file, and room for the answer.
    unsafe {
        let open = opened(file);
        let Some(found) = lock(&open.disk).len_of(open.id) else { return ffi::SQLITE_IOERR_FSTAT };
        *len = sqlite3_int64::try_from(found).unwrap_or(sqlite3_int64::MAX);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock_level(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_: *mut sqlite3_file, held: *mut c_int) -> c_int {
    // SAFETY: room for the answer.
    unsafe { *held = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

/// What unix says of its files.
unsafe extern "C" fn characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: SQLite gives a name.
    let path = unsafe { path_of(name) };
    let Some(disk) = disk_of(&path) else { return ffi::SQLITE_IOERR_DELETE };
    let names = if sync_dir == 0 { Names::Not } else { Names::Too };
    match lock(&disk).delete(&path, names) {
        Ok(()) => ffi::SQLITE_OK,
        Err(Failed::Missing) => ffi::SQLITE_IOERR_DELETE_NOENT,
        Err(_) => ffi::SQLITE_IOERR_DELETE,
    }
}

/// Like on unix, an empty file counts as none.
unsafe extern "C" fn access(_: *mut sqlite3_vfs, name: *const c_char, flags: c_int, answer: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a name, and room for the answer.
    unsafe {
        let path = path_of(name);
        let len = disk_of(&path).and_then(|disk| lock(&disk).len(&path));
        let yes = len.is_some_and(|len| len > 0 || flags != ffi::SQLITE_ACCESS_EXISTS);
        *answer = c_int::from(yes);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(_: *mut sqlite3_vfs, name: *const c_char, len: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives a name, and `len` bytes for the answer.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes_with_nul();
        if name.len() > size(len.into()) {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(name.as_ptr().cast::<c_char>(), out, name.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut sqlite3_vfs, count: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives `count` bytes.
    unsafe { std::slice::from_raw_parts_mut(out.cast::<u8>(), size(count.into())) }.fill(7);
    count
}

unsafe extern "C" fn sleep(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    microseconds
}

unsafe extern "C" fn current_time(_: *mut sqlite3_vfs, days: *mut f64) -> c_int {
    // SAFETY: room for the answer.
    unsafe { *days = 2_460_000.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(_: *mut sqlite3_vfs, millis: *mut sqlite3_int64) -> c_int {
    // SAFETY: room for the answer.
    unsafe { *millis = 212_544_043_200_000 };
    ffi::SQLITE_OK
}

/// `SQLite` never gives negative sizes and places.
fn size(number: sqlite3_int64) -> usize {
    usize::try_from(number).expect("sizes and places are not negative")
}
