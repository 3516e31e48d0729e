//! Opening a directory: the lock, the file, its settings, and the check that it is ours.

use crate::error::{OpenError, engine_error};
use crate::private::{make_private_dir, private_file};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use sturdy_store::EngineError;

/// The file with the rows.
const FILE: &str = "store.sqlite";
/// The file that is locked while a process uses the directory. It is never deleted: deleting it would free the name,
/// not the lock.
const LOCK: &str = "lock";

/// Not even one page of the smallest size fits into less.
const SMALLEST_FILE_BYTES: u64 = 512;
/// A log that is no longer holds nothing yet.
const LOG_HEADER_BYTES: u64 = 32;

/// Marks the file as ours: "Stdy".
const APPLICATION_ID: i32 = 0x5374_6479;
/// The layout of the file: which SQL tables it has. The schema of the rows is a row.
const LAYOUT: i32 = 2;

const CREATE: &str = "CREATE TABLE rows (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT";
/// Since layout 2. With row ids, so that the values are not in the index (`long.rs`).
const CREATE_LONG: &str = "CREATE TABLE long (key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT";

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing yet.
    Nothing,
    /// A store of layout 1.
    WithoutLong,
    /// A store as this program makes them.
    Store,
}

/// Set before anything is read: it keeps the log's index in memory, without shared memory and without locks per read
/// (the lock file already keeps others out). It changes nothing in the file.
const LOCKING: &str = "PRAGMA locking_mode = EXCLUSIVE";

/// Settings of every connection, the log apart (`use_log`): `FULL` makes each commit durable; checkpoints are the engine's own decision.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_size = -65536;
    PRAGMA temp_store = MEMORY;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
";

/// What an open directory consists of.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    /// Locked as long as it is open, if processes can meet there.
    pub(crate) lock: Option<File>,
    pub(crate) file_len: FileLen,
}

/// The file with the rows of the store in `dir`. Its log lies beside it while there is one.
pub fn store_file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// The length of a file, if there is one.
pub(crate) type FileLen = Box<dyn Fn(&Path) -> Option<u64> + Send>;

pub(crate) fn open(dir: &Path) -> Result<Opened, OpenError> {
    let inaccessible = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Inaccessible { path, source }
    };
    make_dir(dir).map_err(inaccessible(dir))?;
    let lock_path = dir.join(LOCK);
    let lock =
        private_file().create(true).truncate(false).write(true).open(&lock_path).map_err(inaccessible(&lock_path))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::Locked { dir: dir.to_owned() },
        TryLockError::Error(source) => inaccessible(&lock_path)(source),
    })?;
    let path = dir.join(FILE);
    // SQLite quietly falls back to reading only, so a file that may not be written is noticed here.
    // SQLite makes its log as private as this file.
    let file = private_file().create(true).truncate(false).write(true).open(&path).map_err(inaccessible(&path))?;
    drop(file);
    let file_len: FileLen = Box::new(|path| fs::metadata(path).map(|file| file.len()).ok());
    check_len(&path, &file_len)?;
    let connection = connect(&path, Connection::open_with_flags(&path, FLAGS))?;
    Ok(Opened { connection, path, lock: Some(lock), file_len })
}

/// As `open`, on another virtual file system, where the file is already and no other process can come.
#[cfg(feature = "vfs")]
pub(crate) fn open_on(vfs: &str, dir: &Path, file_len: FileLen) -> Result<Opened, OpenError> {
    let path = dir.join(FILE);
    check_len(&path, &file_len)?;
    let connection = connect(&path, Connection::open_with_flags_and_vfs(&path, FLAGS, vfs))?;
    Ok(Opened { connection, path, lock: None, file_len })
}

/// `SQLite` takes a stump of a file for an empty database, and then throws its log away. An empty file is what a
/// crash during the very first open leaves behind, with a log that has begun if another crash follows.
fn check_len(path: &Path, file_len: &FileLen) -> Result<(), OpenError> {
    let len = file_len(path).unwrap_or(0);
    let log = file_len(&path.with_extension("sqlite-wal")).unwrap_or(0);
    if len >= SMALLEST_FILE_BYTES || len == 0 && log <= LOG_HEADER_BYTES {
        return Ok(());
    }
    let why = format!("it has only {len} bytes and was cut off; restore it from a backup");
    Err(OpenError::Unusable { path: path.to_owned(), source: EngineError::Damaged(why) })
}

/// Makes the directory, and the names of new directories durable.
fn make_dir(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    make_private_dir(dir)?;
    for above in dir.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        // Best effort: directories above those just made may not be open to us.
        if File::open(above).and_then(|above| above.sync_all()).is_err() {
            break;
        }
    }
    Ok(())
}

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn connect(path: &Path, connection: rusqlite::Result<Connection>) -> Result<Connection, OpenError> {
    let unusable = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            OpenError::NotAStore { path: path.to_owned(), why: "it is no SQLite database".into() }
        }
        _ => OpenError::Unusable { path: path.to_owned(), source: engine_error(path, "opening", &error) },
    };
    let connection = connection.map_err(unusable)?;
    connection.execute_batch(LOCKING).map_err(unusable)?;
    // Before anything is changed: is it ours?
    let found = check(&connection, path, unusable)?;
    connection.execute_batch(SETTINGS).map_err(unusable)?;
    use_log(&connection, path, unusable)?;
    let make = match found {
        Found::Nothing => format!("PRAGMA application_id = {APPLICATION_ID}; {CREATE}; {CREATE_LONG};"),
        Found::WithoutLong => format!("{CREATE_LONG};"),
        Found::Store => String::new(),
    };
    if !make.is_empty() {
        connection
            .execute_batch(&format!("BEGIN; {make} PRAGMA user_version = {LAYOUT}; COMMIT;"))
            .map_err(unusable)?;
    }
    connection.set_prepared_statement_cache_capacity(16);
    // Otherwise a statement with a range is parsed again whenever its bounds are bound anew: another plan might suit them
    // better, and here never does.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(unusable)?;
    Ok(connection)
}

/// Switches to the write-ahead log, without which a commit would not be durable. `SQLite` tells of a failure in two ways:
/// as the name of another journal, or as an error after that row, when the change is committed. So the statement is
/// stepped to its end.
fn use_log(
    connection: &Connection,
    path: &Path,
    unusable: impl Fn(rusqlite::Error) -> OpenError,
) -> Result<(), OpenError> {
    let modes: Result<Vec<String>, _> = connection
        .prepare("PRAGMA journal_mode = WAL")
        .and_then(|mut switch| switch.query_map([], |row| row.get(0))?.collect());
    let mode = modes.map_err(unusable)?.concat();
    if mode == "wal" {
        return Ok(());
    }
    let why = format!("no write-ahead log could be made for it (its journal is `{mode}`); check that disk");
    Err(OpenError::Unusable { path: path.to_owned(), source: EngineError::Failed(why) })
}

/// What the database is; an error if it is something else.
fn check(
    connection: &Connection,
    path: &Path,
    unusable: impl Fn(rusqlite::Error) -> OpenError,
) -> Result<Found, OpenError> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application = number("application_id").map_err(&unusable)?;
    let layout = number("user_version").map_err(&unusable)?;
    let mut tables: Vec<String> = Vec::new();
    connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .and_then(|mut statement| {
            for name in statement.query_map([], |row| row.get(0))? {
                tables.push(name?);
            }
            Ok(())
        })
        .map_err(&unusable)?;
    let foreign = |why: String| Err(OpenError::NotAStore { path: path.to_owned(), why });
    match (application, layout) {
        (0, 0) if tables.is_empty() => Ok(Found::Nothing),
        (APPLICATION_ID, 1) if tables == ["rows"] => Ok(Found::WithoutLong),
        (APPLICATION_ID, LAYOUT) if tables == ["long", "rows"] => Ok(Found::Store),
        (APPLICATION_ID, found) if found > LAYOUT => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: LAYOUT })
        }
        (APPLICATION_ID, _) => foreign(format!("its tables are {tables:?}")),
        _ => foreign(format!("it is a database of another program (application id {application:#x})")),
    }
}
