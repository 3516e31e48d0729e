//! Who this kernel is to others: the identity file in the home directory, made on first use.
//!
//! What always holds: a kernel that loses its store keeps its peer id, because the file lies beside the store and not in
//! it; a file that is there is never overwritten here, whatever is wrong with it.

use std::path::{Path, PathBuf};
use sturdy_identity::{CreateError, Identity, LoadError, create, load};
use sturdy_store_sqlite::make_private_dir;
use zeroize::Zeroizing;

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
            *self = match load_or_create_identity(&identity_file(home)) {
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

/// The identity in this file; made, with the folder that it lies in, if there is none.
pub fn load_or_create_identity(file: &Path) -> Result<Identity, IdentityError> {
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
