//! Looking into a store while nothing runs in it. Looking never makes a store, and never changes one beyond what
//! opening does (finishing a commit or a restoration that was cut off, migrating).

use crate::boot::store_dir;
use crate::rest::engine;
use crate::restore::CutOff;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use sturdy_node::kernel::audit;
use sturdy_store::{Described, Engine, Store, StoreFault, TableSize};
use sturdy_types::Incarnation;

/// Why a store cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// There is none.
    #[error("there is no store in {}; name the directory given to `sturdy run` with --home", .0.display())]
    Nothing(PathBuf),
    /// There is none, and should be one.
    #[error(transparent)]
    CutOff(#[from] CutOff),
    /// Its directory or file cannot be opened.
    #[error(transparent)]
    Place(#[from] sturdy_store_sqlite::OpenError),
    /// Its file is damaged.
    #[error(transparent)]
    Engine(#[from] sturdy_store::EngineError),
    /// What is in it cannot be used.
    #[error(transparent)]
    Store(#[from] sturdy_store::OpenError),
    /// A row cannot be read.
    #[error(transparent)]
    Row(#[from] StoreFault),
}

/// An open store in which nothing runs. Others are kept out as long as it is there.
pub struct StoreView {
    store: Store,
}

impl StoreView {
    /// Opens the store of this home directory.
    pub fn open(home: &Path) -> Result<Self, LookError> {
        Self::over(engine(&store_dir(home), home)?)
    }

    /// Verifies the store's file as such, before anything in it is believed, then opens it and compares all rows with
    /// their seal, however many there are.
    pub fn open_verified(home: &Path) -> Result<Self, LookError> {
        let engine = engine(&store_dir(home), home)?;
        engine.verify()?;
        let view = Self::over(engine)?;
        view.store.verify()?;
        Ok(view)
    }

    fn over(engine: impl Engine + 'static) -> Result<Self, LookError> {
        // The incarnation is only for stores that are new.
        Ok(Self { store: Store::open(Box::new(engine), Incarnation([0; 16]))? })
    }

    /// Recounts everything; returns what is wrong, one sentence each.
    pub fn audit(&self) -> Result<Vec<String>, LookError> {
        Ok(audit(&self.store)?.problems)
    }

    /// Every row as text.
    pub fn dump(&self) -> impl Iterator<Item = Result<Described, LookError>> {
        self.store.dump().map(|row| row.map_err(LookError::Row))
    }

    /// What each table takes, by name.
    pub fn census(&self) -> Result<BTreeMap<&'static str, TableSize>, LookError> {
        Ok(self.store.census()?)
    }

    /// The id of this life of the store.
    pub fn incarnation(&self) -> Incarnation {
        self.store.incarnation()
    }
}
