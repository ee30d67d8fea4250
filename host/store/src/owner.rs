//! Who holds a lease: a process, by a name of its own. Beside a control file it also holds an advisory
//! lock of the operating system, which goes away with the process however it ends: a killed process is
//! known to be dead at once, not when its leases run out.
//!
//! The locks are files in `<control file>.locks/`. They hold nothing; what counts is who locks them.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::{make_directory, private_file};

/// This process.
#[derive(Debug)]
pub(crate) struct Owner {
    name: String,
    _lock: Option<Lock>,
}

/// Held as long as the process lives.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    file: File,
}

impl Owner {
    /// One whose leases count until they run out.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), _lock: None }
    }

    /// One whose leases count while its process is alive.
    pub(crate) fn beside(control: &Path, name: &str) -> Result<Self> {
        let lock = take(control, name)?;
        let taken = || std::io::Error::new(std::io::ErrorKind::AlreadyExists, "another process has this name");
        let lock = lock.ok_or_else(|| Error::io(&directory(control), "naming this process", taken()))?;
        Ok(Self { name: name.to_owned(), _lock: Some(lock) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Whether no process of that name is alive.
pub(crate) fn is_dead(control: &Path, name: &str) -> Result<bool> {
    Ok(take(control, name)?.is_some())
}

/// A process that has the control file open, if there is one.
pub(crate) fn living(control: &Path) -> Result<Option<String>> {
    let directory = directory(control);
    let failed = |error| Error::io(&directory, "looking who has the control store open", error);
    for entry in std::fs::read_dir(&directory).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name();
        let name = file.to_str().and_then(|name| name.strip_prefix("owner-")?.strip_suffix(".lock"));
        if let Some(name) = name
            && !is_dead(control, name)?
        {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked: whoever opened the file in the meantime sees that it is gone (see
        // `is_current`) and begins again. An error leaves an empty file behind, which harms nobody.
        #[cfg(unix)]
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "an empty lock file stays behind");
        }
        drop(self.file.unlock());
    }
}

/// The directory of a control file's locks.
fn directory(control: &Path) -> PathBuf {
    let mut name = control.as_os_str().to_owned();
    name.push(".locks");
    PathBuf::from(name)
}

pub(crate) fn prepare_directory(control: &Path) -> Result<()> {
    let path = directory(control);
    make_directory(&path).map_err(|e| Error::io(&path, "creating the directory of its locks", e))
}

/// A name as a file's: letters, digits and dashes stay.
fn lock_path(control: &Path, name: &str) -> PathBuf {
    let safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    directory(control).join(format!("{safe}.lock"))
}

/// Opens one lock file, without locking it.
pub(crate) fn open_file(control: &Path, name: &str) -> Result<File> {
    let path = lock_path(control, name);
    let opened = private_file().read(true).write(true).create(true).truncate(false).open(&path);
    opened.map_err(|e| Error::io(&path, "opening a lock", e))
}

/// `None` where somebody else holds it.
fn take(control: &Path, name: &str) -> Result<Option<Lock>> {
    let name = format!("owner-{name}");
    let path = lock_path(control, &name);
    loop {
        let file = open_file(control, &name)?;
        match file.try_lock() {
            Ok(()) if is_current(&file, &path) => return Ok(Some(Lock { path, file })),
            // Its holder removed it between our two steps.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, "locking a name", e)),
        }
    }
}

/// Whether the locked file is still the one that others would open.
#[cfg(unix)]
fn is_current(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_current(_: &File, _: &Path) -> bool {
    true
}
