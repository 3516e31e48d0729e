//! Restorations that were cut off: what the next one to open the home finds.

use std::fs;
use std::path::{Path, PathBuf};
use sturdy_daemon::{
    CutOff, Daemon, DaemonConfig, Existing, LookError, Place, RestingKernel, RestoreError, StartError, StoreView,
    restore_store,
};
use sturdy_types::Incarnation;

/// A home with a store, and a copy of that.
fn home_and_copy(dir: &Path) -> (PathBuf, PathBuf) {
    let (home, copy) = (dir.join("home"), dir.join("copy"));
    fs::create_dir_all(&copy).unwrap();
    drop(sturdy_store_sqlite::SqliteEngine::open(&copy).unwrap());
    restore_store(&home, &copy, Existing::Keep).unwrap();
    (home, copy)
}

fn life(home: &Path) -> Incarnation {
    StoreView::open(home).unwrap().incarnation()
}

async fn start(home: &Path) -> Result<(), StartError> {
    Daemon::start(DaemonConfig::new(Place::Home(home.to_owned()))).await?.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn what_was_complete_is_put_in_place_by_whoever_comes_next() {
    let dir = tempfile::tempdir().unwrap();
    let (home, copy) = home_and_copy(dir.path());
    let (place, complete) = (home.join("store"), home.join("store.restored"));
    let opens: [fn(&Path); 2] =
        [|home| drop(StoreView::open(home).unwrap()), |home| drop(RestingKernel::open(home).unwrap())];
    let restored = life(&home);
    fs::rename(&place, &complete).unwrap();
    start(&home).await.unwrap();
    assert!(life(&home) == restored && !complete.exists(), "the daemon");
    for open in opens {
        fs::rename(&place, &complete).unwrap();
        open(&home);
        assert!(life(&home) == restored && !complete.exists());
    }
    // As long as there is a store, it is the one; and what is left over is in nobody's way.
    fs::create_dir(&complete).unwrap();
    fs::write(complete.join("store.sqlite"), "left over").unwrap();
    start(&home).await.unwrap();
    assert_eq!(life(&home), restored);
    let again = restore_store(&home, &copy, Existing::MoveAside).unwrap();
    assert!(life(&home) == again.incarnation && again.moved_to.is_some() && !complete.exists());
}

#[tokio::test]
async fn what_was_not_complete_is_told_and_no_empty_kernel_begins() {
    let dir = tempfile::tempdir().unwrap();
    let (home, copy) = home_and_copy(dir.path());
    let (place, begun) = (home.join("store"), home.join("store.restoring"));
    fs::rename(&place, &begun).unwrap();
    for _ in 0..2 {
        let refused = start(&home).await.unwrap_err();
        assert!(matches!(&refused, StartError::CutOff(CutOff::Incomplete(path)) if *path == begun), "{refused}");
        assert!(refused.to_string().contains("restore again"), "{refused}");
        assert!(matches!(StoreView::open(&home), Err(LookError::CutOff(_))));
        assert!(begun.exists() && !place.exists());
    }
    // It may be all that somebody has.
    let refused = restore_store(&home, &begun, Existing::Keep).unwrap_err();
    assert!(matches!(refused, RestoreError::InTheWay(_)) && begun.join("store.sqlite").exists(), "{refused}");
    let restored = restore_store(&home, &copy, Existing::Keep).unwrap();
    assert!(life(&home) == restored.incarnation && !begun.exists());
    start(&home).await.unwrap();
}
