//! What can go wrong, in words that say what to do.

use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};
use sturdy_store::EngineError;

/// The store's directory cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Somebody has it open.
    #[error("the store in {dir} is in use by another process (or opened twice by this one); stop that one first")]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory or a file in it cannot be made or opened.
    #[error("{path} cannot be opened for writing: {source}; check that it is a directory that this user may write to")]
    Inaccessible {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something else is there.
    #[error("{path} is no store of this program: {why}; name another directory")]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        why: String,
    },
    /// A later program wrote it.
    #[error("{path} has file layout {found}, this program knows layouts up to {known}; use a newer version of it")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's layout version.
        found: i32,
        /// The latest that this program knows.
        known: i32,
    },
    /// The file is there but cannot be used.
    #[error("{path}: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EngineError,
    },
}

/// What an error of `SQLite` means. `doing` names what was being done.
pub(crate) fn engine_error(path: &Path, doing: &str, error: &rusqlite::Error) -> EngineError {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            EngineError::Full(format!("no room while {doing} {path} ({error}); free some space on that disk"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            EngineError::ReadOnly(format!("{doing} {path} was not allowed ({error}); check its permissions"))
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            EngineError::Damaged(format!("{doing} {path} found it damaged ({error}); restore it from a backup"))
        }
        _ => EngineError::Failed(format!("{doing} {path} failed ({error}); check that disk")),
    }
}
