//! A copy of a control file while hosts work with it, and putting one in its place.
//!
//! **Invariants**: a copy is one consistent state; a file that somebody has open is never replaced; what is
//! replaced is moved aside, never deleted.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::db::{Conn, Place, sqlite};
use crate::error::{Error, Result};
use crate::store::{Store, private_file, wait_for_turn};
use crate::{migrations, owner};

/// What stands beside a control file and belongs to it.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

impl Store {
    /// Writes a copy of the control file as it is now into `into`, which must not exist. Others go on
    /// writing meanwhile; what they commit later is not in it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it cannot be written, [`Error::Bug`] for a server: it has means of its
    /// own.
    pub async fn copy_into(&self, into: &Path) -> Result<()> {
        let failed = self.failed("copying it");
        let mut writer = self.writer().await?;
        let Conn::Sqlite(file) = writer.conn() else {
            return Err(Error::Bug("a control store on a server is copied by the server's own tools".to_owned()));
        };
        let wrote = |error| Error::io(into, "writing a copy of the control store", error);
        // Made first: SQLite would make it readable for everybody. It takes an empty file.
        private_file().write(true).create_new(true).open(into).map_err(wrote)?;
        let name = into.to_str().ok_or_else(|| wrote(std::io::Error::other("its name is no UTF-8")))?;
        file.execute_long("VACUUM INTO ?1", &[name]).await.map_err(|error| failed(sqlite::fault(error)))?;
        // SQLite leaves it to the system when a copy reaches the disk.
        File::open(into).and_then(|file| file.sync_all()).map_err(wrote)
    }
}

/// Refuses a copy that is damaged or no control store. What is in it is read once, whole.
///
/// # Errors
/// [`Error::NotOurs`], [`Error::Damaged`], [`Error::Unavailable`], [`Error::Version`].
pub async fn check_copy(copy: &Path) -> Result<()> {
    sqlite::check_is_ours(copy).await?;
    sqlite::check_whole(copy).await?;
    let (found, works_with) = sqlite::schema_of(copy).await?;
    migrations::check(&copy.into(), found, works_with)
}

/// Puts a copy in the place of `control`; what was there, if anything, is moved to the same names with
/// `aside` at their end. Gives where that is.
///
/// # Errors
/// [`Error::InUse`] where a process has the control file open, [`Error::Unavailable`] where a file cannot be
/// written. Until the last rename, nothing was replaced.
pub async fn put_back(copy: &Path, control: &Path, aside: &str) -> Result<Option<PathBuf>> {
    owner::prepare_directory(control)?;
    // Whoever opens the store waits for this.
    let _turn = wait_for_turn(control).await?;
    if let Some(owner) = owner::living(control)? {
        return Err(Error::InUse { path: control.to_owned(), owner });
    }
    let beside = ending(control, ".restoring");
    let wrote = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::io(&path, "putting a copy in its place", error)
    };
    let mut from = File::open(copy).map_err(wrote(copy))?;
    let mut to = private_file().write(true).create(true).truncate(true).open(&beside).map_err(wrote(&beside))?;
    std::io::copy(&mut from, &mut to).and_then(|_| to.sync_all()).map_err(wrote(&beside))?;
    let was = ending(control, aside);
    let is_there = control.exists();
    if is_there {
        // The log first: a control file beside another one's log would be damaged by whoever opens it.
        for end in BESIDE {
            let log = ending(control, end);
            if log.exists() {
                std::fs::rename(&log, ending(&was, end)).map_err(wrote(&log))?;
            }
        }
        std::fs::rename(control, &was).map_err(wrote(control))?;
    }
    std::fs::rename(&beside, control).map_err(wrote(control))?;
    if let Some(directory) = control.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(wrote(directory))?;
    }
    Ok(is_there.then_some(was))
}

/// `control.db` → `control.db-wal`.
fn ending(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The file of a control store that is one.
#[must_use]
pub fn file(store: &Store) -> Option<&Path> {
    match store.place() {
        Place::File(path) => Some(path),
        Place::Server(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, name, open, opened, path, planned};

    #[tokio::test]
    async fn a_copy_is_the_store_as_it_was_and_opens_like_it() {
        let (dir, store) = opened().await;
        let run = planned(&store, "Germany", 3).await;
        let copy = dir.path().join("copy.db");
        store.copy_into(&copy).await.unwrap();
        assert!(matches!(store.copy_into(&copy).await, Err(Error::Unavailable { .. })), "it is there already");
        let later = planned(&store, "France", 1).await;
        check_copy(&copy).await.unwrap();
        let control = path(&store).to_owned();
        let busy = put_back(&copy, &control, ".was").await.unwrap_err();
        assert!(matches!(busy, Error::InUse { .. }), "{busy}");
        store.run(later).await.unwrap();
        drop(store);
        let was = put_back(&copy, &control, ".was").await.unwrap().unwrap();
        let back = open(&control).await;
        assert_eq!(back.verify_plan(run).await.unwrap().header.changes_count, "3");
        assert!(matches!(back.run(later).await, Err(Error::RunUnknown { .. })));
        let aside = Store::open_file(&was, &name(), NOW).await.unwrap();
        assert_eq!(aside.run(later).await.unwrap().tenant, "France", "nothing of it is lost");
    }

    #[tokio::test]
    async fn what_is_no_copy_or_a_damaged_one_is_refused() {
        let (dir, store) = opened().await;
        planned(&store, "Germany", 300).await;
        let copy = dir.path().join("copy.db");
        store.copy_into(&copy).await.unwrap();
        let whole = std::fs::read(&copy).unwrap();
        let mut damaged = whole.clone();
        for byte in damaged.iter_mut().skip(whole.len() / 2).take(4_096) {
            *byte = 0x55;
        }
        std::fs::write(&copy, damaged).unwrap();
        assert!(check_copy(&copy).await.is_err());
        std::fs::write(&copy, "not a database").unwrap();
        assert!(matches!(check_copy(&copy).await, Err(Error::NotOurs { .. })));
    }
}
