//! The identity file: it lies beside the store, so that a kernel that has lost its store is still the same to its peers.
//!
//! Its form, one thing a line: `sturdy identity 1`, then `words` and the words, or `seed` and 64 hex digits, then `peer`
//! and the peer id. The last line is also the check: it must be the peer id of the secret. What always holds: the file
//! is there completely or not at all, and only its owner may read it.

use crate::key::{Identity, MnemonicError, SeedError};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FIRST_LINE: &str = "sturdy identity 1";
/// How the first line begins, whichever program has written it.
const ANY_VERSION: &str = "sturdy identity ";

/// More than any identity file has.
const MAX_FILE_BYTES: u64 = 4_096;

/// Why an identity could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There is one already.
    #[error("{0} exists already: this kernel has an identity, and it is not overwritten")]
    Exists(PathBuf),
    /// The system refuses.
    #[error("the identity cannot be written to {0}")]
    Io(PathBuf, #[source] io::Error),
}

/// Why an identity could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is none.
    #[error("there is no identity file {0}")]
    Missing(PathBuf),
    /// The system refuses.
    #[error("the identity file {0} cannot be read")]
    Io(PathBuf, #[source] io::Error),
    /// A directory, or a device.
    #[error("{0} is no file, so it is no identity file")]
    NoFile(PathBuf),
    /// Others may read it.
    #[error("the identity file {0} can be read or changed by others; make it yours alone with: chmod 600 {0}")]
    Open(PathBuf),
    /// Written by a newer program.
    #[error("the identity file {0} was written by a newer Sturdy; use that one")]
    Newer(PathBuf),
    /// Another file, or one that is damaged from its beginning on.
    #[error(
        "{0} is no identity file: its first line is not '{FIRST_LINE}'; if it once was, bring it back from a copy, or \
         restore the identity from its words"
    )]
    Other(PathBuf),
    /// Damaged.
    #[error(
        "the identity file {file} is damaged: {why}; bring it back from a copy, or restore the identity from its words"
    )]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        why: Damage,
    },
}

/// What is wrong with an identity file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Too few or too many lines.
    #[error("it must have three lines: '{FIRST_LINE}', 'words …' or 'seed …', 'peer …'")]
    Lines,
    /// The words.
    #[error("{0}")]
    Words(#[from] MnemonicError),
    /// The seed.
    #[error("{0}")]
    Seed(#[from] SeedError),
    /// Secret and peer id are not of one key.
    #[error("its peer id is not the one of its key")]
    OtherPeer,
}

/// Writes a new identity file. One that is there is never overwritten.
pub fn create(path: &Path, identity: &Identity) -> Result<(), CreateError> {
    // A link instead of a renaming: it fails if somebody was faster.
    write_aside(path, identity, |aside| {
        let linked = fs::hard_link(aside, path);
        let removed = fs::remove_file(aside);
        linked.and(removed)
    })
}

/// Writes an identity file in the place of another, if there is one. The kernel becomes somebody else to its peers.
pub fn replace(path: &Path, identity: &Identity) -> Result<(), CreateError> {
    write_aside(path, identity, |aside| fs::rename(aside, path))
}

/// Reads the identity file. Only of what is one is said whom it should be open to.
pub fn load(path: &Path) -> Result<Identity, LoadError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => LoadError::Io(path.to_owned(), error),
    };
    // Whoever opens a pipe waits for somebody to write.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(LoadError::NoFile(path.to_owned()));
    }
    let file = File::open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_FILE_BYTES).expect("4 KiB fit")));
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(io)?;
    let other = || LoadError::Other(path.to_owned());
    if !text.starts_with(ANY_VERSION.as_bytes()) {
        return Err(other());
    }
    if !is_private(&about) {
        return Err(LoadError::Open(path.to_owned()));
    }
    let damaged = |why| LoadError::Damaged { file: path.to_owned(), why };
    let text = std::str::from_utf8(&text).map_err(|_| damaged(Damage::Lines))?;
    if !text.starts_with(FIRST_LINE) {
        return Err(LoadError::Newer(path.to_owned()));
    }
    let rest = text.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix('\n')).ok_or_else(other)?;
    parse(rest).map_err(damaged)
}

/// What comes after the first line.
fn parse(rest: &str) -> Result<Identity, Damage> {
    let rest = rest.strip_suffix('\n').ok_or(Damage::Lines)?;
    let (secret, peer) = rest.split_once('\n').ok_or(Damage::Lines)?;
    let peer = peer.strip_prefix("peer ").ok_or(Damage::Lines)?;
    let identity = match secret.split_once(' ') {
        Some(("words", words)) => Identity::from_mnemonic(words)?,
        Some(("seed", seed)) => Identity::from_seed_hex(seed)?,
        _ => return Err(Damage::Lines),
    };
    if identity.peer_id().to_string() == peer { Ok(identity) } else { Err(Damage::OtherPeer) }
}

fn render(identity: &Identity) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push_str(FIRST_LINE);
    if let Some(words) = identity.reveal_mnemonic() {
        text.push_str("\nwords ");
        text.push_str(&words);
    } else {
        text.push_str("\nseed ");
        text.push_str(&identity.reveal_seed_hex());
    }
    text.push_str("\npeer ");
    text.push_str(&identity.peer_id().to_string());
    text.push('\n');
    text
}

/// Writes the file under another name, then lets `publish` give it its own.
fn write_aside(
    path: &Path,
    identity: &Identity,
    publish: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), CreateError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => CreateError::Exists(path.to_owned()),
        _ => CreateError::Io(path.to_owned(), error),
    };
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(format!(".{}.new", std::process::id()));
    let aside = path.with_file_name(name);
    // What a process with this number left when it died half-way.
    let _nothing_left = fs::remove_file(&aside);
    let written = (|| {
        let mut file = open_private(&aside)?;
        file.write_all(render(identity).as_bytes())?;
        file.sync_all()?;
        publish(&aside)?;
        sync_folder(path)
    })();
    if written.is_err() {
        let _gone = fs::remove_file(&aside);
    }
    written.map_err(failed)
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A new name is durable once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn is_private(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata).trailing_zeros() >= 6 // nothing for group and others
}

#[cfg(not(unix))]
fn is_private(_: &fs::Metadata) -> bool {
    true
}
