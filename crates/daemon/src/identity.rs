//! Who this kernel is to others: the identity file in the home directory, made on first use.
//!
//! What always holds: a kernel that loses its store keeps its peer id, because the file lies beside the store and not in
//! it; a file that is there is never overwritten here, whatever is wrong with it; a store whose identity is lost does not
//! quietly get another one.

use crate::boot::store_dir;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use sturdy_identity::{CreateError, Identity, LoadError, PeerId, create, load};
use sturdy_store_sqlite::{make_private_dir, private_file};
use zeroize::Zeroizing;

/// Names the peer id that the kernel of a store had last. It lies with the store, because it is about what is in it.
const PEER_FILE: &str = "peer";

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file is there and cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A new one cannot be written.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The folder that it belongs into cannot be made.
    #[error("{}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It was there, and is not any more.
    #[error(
        "the identity file {} is gone: the kernel of this store was {peer}, and its URLs and peers know it as nobody else. \
         Bring the file back from a copy, or make it again from its words with `sturdy identity restore`. If both are \
         lost, `sturdy identity renew` makes the kernel somebody else",
        file.display()
    )]
    Gone {
        /// The file.
        file: PathBuf,
        /// Whom it has made of the kernel.
        peer: String,
    },
    /// No random bits.
    #[error("the operating system refuses random numbers: {0}")]
    Chance(String),
}

/// Where the identity of the kernel of this home directory lies.
pub fn identity_file(home: &Path) -> PathBuf {
    home.join("identity")
}

/// What a running kernel knows about who it is to others.
pub(crate) enum Whoami {
    /// This peer id.
    Known(String),
    /// Nobody has needed to know it; the identity of this home directory.
    NotAsked(PathBuf),
    /// There is no identity, for this reason.
    Nobody(String),
}

impl Whoami {
    /// The peer id, or why there is none. On first use the identity is made.
    pub(crate) fn peer_id(&mut self) -> Result<String, String> {
        if let Self::NotAsked(home) = self {
            *self = match identity_of(home) {
                Ok(identity) => Self::Known(identity.peer_id().to_string()),
                Err(error) => Self::Nobody(error.to_string()),
            };
        }
        match self {
            Self::Known(peer) => Ok(peer.clone()),
            Self::Nobody(why) => Err(why.clone()),
            Self::NotAsked(home) => Err(format!("nobody asked for the identity in {}", home.display())),
        }
    }
}

/// The identity that the kernel of this home directory has. If it has none, the error tells whether it had one.
pub fn load_identity(home: &Path) -> Result<Identity, IdentityError> {
    load(&identity_file(home)).map_err(|error| match (error, last_peer(home)) {
        (LoadError::Missing(file), Some(peer)) => IdentityError::Gone { file, peer },
        (error, _) => error.into(),
    })
}

/// The identity of the kernel of this home directory; made if it never had one.
pub(crate) fn identity_of(home: &Path) -> Result<Identity, IdentityError> {
    let identity = match load_identity(home) {
        Err(IdentityError::Load(LoadError::Missing(file))) => load_or_create_identity(&file)?,
        found => found?,
    };
    note_peer(home, &identity.peer_id().to_string());
    Ok(identity)
}

/// Whom the kernel of this home directory was to others when it ran last, if it was anybody.
pub fn last_peer(home: &Path) -> Option<String> {
    let text = std::fs::read_to_string(store_dir(home).join(PEER_FILE)).ok()?;
    let peer: PeerId = text.trim().parse().ok()?;
    Some(peer.to_string())
}

/// Notes it. Without the note a lost identity file would only not be noticed, so it is no reason to stop.
fn note_peer(home: &Path, peer: &str) {
    if last_peer(home).as_deref() != Some(peer) {
        let file = store_dir(home).join(PEER_FILE);
        let opened = private_file().create(true).truncate(true).write(true).open(file);
        let _noted = opened.and_then(|mut opened| opened.write_all(format!("{peer}\n").as_bytes()));
    }
}

/// The identity in this file; made, with the folder that it lies in, if there is none.
fn load_or_create_identity(file: &Path) -> Result<Identity, IdentityError> {
    match load(file) {
        Err(LoadError::Missing(_)) => {}
        found => return Ok(found?),
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let folder_error = |source| IdentityError::Folder { folder: folder.to_owned(), source };
        make_private_dir(folder).map_err(folder_error)?;
    }
    let identity = new_identity()?;
    match create(file, &identity) {
        Ok(()) => Ok(identity),
        // Somebody was faster.
        Err(CreateError::Exists(_)) => Ok(load(file)?),
        Err(error) => Err(error.into()),
    }
}

/// A new identity, which no file has.
pub fn new_identity() -> Result<Identity, IdentityError> {
    let mut bits = Zeroizing::new([0; 32]);
    getrandom::fill(bits.as_mut_slice()).map_err(|error| IdentityError::Chance(error.to_string()))?;
    Ok(Identity::generate(&bits))
}
