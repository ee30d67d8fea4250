//! The host's secret: one key file, and a key for each use derived from it.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::store::private_file;

/// Keeps keys derived here apart from every other HMAC that we make.
const DOMAIN: &[u8] = b"mendwright key v1\n";

const KEY_LEN: usize = 32;

/// What a derived key is for. Keys of two uses have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// The MAC of each row of a target's journal.
    Journal,
    /// The MAC of compiled code in the cache.
    CompiledCode,
    /// The seed of the key that signs the audit log.
    Audit,
    /// The seed of the key that countersigns what people say in sessions.
    Session,
}

impl KeyUse {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Journal => b"journal",
            Self::CompiledCode => b"compiled-code",
            Self::Audit => b"audit",
            Self::Session => b"session",
        }
    }
}

/// A key for one use.
#[derive(Clone, PartialEq, Eq)]
pub struct SubKey([u8; KEY_LEN]);

impl SubKey {
    /// The bytes, for a MAC and nothing else.
    #[must_use]
    pub const fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for SubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubKey(…)")
    }
}

/// The host's key. It never leaves this type.
#[derive(Clone)]
pub struct HostKey([u8; KEY_LEN]);

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostKey(…)")
    }
}

impl HostKey {
    /// Reads the key in `path`; makes it from `random` if there is none. Of two hosts that make it at
    /// once one wins, and both have its key. A key file that is there is never overwritten.
    ///
    /// # Errors
    /// [`Error::KeyFile`] where others can read the file, it does not hold 32 bytes, or it can be
    /// neither read nor made.
    pub fn load_or_create(path: &Path, random: impl FnOnce() -> std::io::Result<[u8; KEY_LEN]>) -> Result<Self> {
        match load(path) {
            Ok(None) => {}
            Ok(Some(key)) => return Ok(key),
            Err(error) => return Err(error),
        }
        let key = random().map_err(|e| failed(path, "there is no randomness to make it from", e))?;
        create(path, &key).map_err(|e| failed(path, "it cannot be made", e))?;
        load(path)?.ok_or_else(|| refused(path, "it was made and is gone"))
    }

    /// The key for one use: HMAC-SHA-256(host key, domain ‖ use).
    #[must_use]
    pub fn derive(&self, purpose: KeyUse) -> SubKey {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any key length");
        mac.update(DOMAIN);
        mac.update(purpose.label());
        SubKey(mac.finalize().into_bytes().into())
    }
}

/// Without the key that signed them, journals cannot be believed: a new key is no way out.
fn refused(path: &Path, detail: &str) -> Error {
    let hint = "restore it from a backup: what was applied with the old key cannot be undone with a new one".to_owned();
    Error::KeyFile { path: path.to_owned(), detail: detail.to_owned(), hint, source: None }
}

fn failed(path: &Path, detail: &str, source: std::io::Error) -> Error {
    let hint = format!("ls -l {}: it must be yours, and its directory must exist", path.display());
    Error::KeyFile { path: path.to_owned(), detail: detail.to_owned(), hint, source: Some(source) }
}

/// `None` where there is no such file.
fn load(path: &Path) -> Result<Option<HostKey>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, "it cannot be read", error)),
    };
    check_private(path, &file)?;
    let mut bytes = Vec::new();
    // One byte more than a key: enough to see that it is too long, whatever the file is.
    let limit = u64::try_from(KEY_LEN + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(|e| failed(path, "it cannot be read", e))?;
    let key = bytes.try_into().map_err(|_| refused(path, "it does not hold exactly 32 bytes"))?;
    Ok(Some(HostKey(key)))
}

#[cfg(unix)]
fn check_private(path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().map_err(|e| failed(path, "its attributes cannot be read", e))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::KeyFile {
        path: path.to_owned(),
        detail: format!("others may use it (mode {mode:03o})"),
        hint: format!("chmod 600 {}", path.display()),
        source: None,
    })
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: &File) -> Result<()> {
    Ok(())
}

/// Writes the whole key under another name first, then gives it its own: nobody ever reads half a key.
fn create(path: &Path, key: &[u8; KEY_LEN]) -> std::io::Result<()> {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)));
    let draft = PathBuf::from(name);
    let written = write_draft(&draft, key).and_then(|()| match std::fs::hard_link(&draft, path) {
        // Another host was first: its key counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    // Whatever happened, half a secret must not lie around.
    let removed = std::fs::remove_file(&draft);
    written.and(removed)?;
    sync_directory(path)
}

fn write_draft(draft: &Path, key: &[u8; KEY_LEN]) -> std::io::Result<()> {
    // What a process of the same number left when it was killed.
    match std::fs::remove_file(draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = private_file().write(true).create_new(true).open(draft)?;
    file.write_all(key)?;
    file.sync_all()
}

/// A journal must not be signed with a key whose name a power cut takes away.
#[cfg(unix)]
fn sync_directory(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use mendwright_core::code::Code;

    use super::*;

    fn never() -> std::io::Result<[u8; KEY_LEN]> {
        panic!("a key that is there is not made again")
    }

    #[test]
    fn a_key_is_made_once_private_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.key");
        let made = HostKey::load_or_create(&path, || Ok([7; 32])).unwrap();
        let read = HostKey::load_or_create(&path, never).unwrap();
        assert_eq!(made.derive(KeyUse::Journal), read.derive(KeyUse::Journal));
        assert_ne!(made.derive(KeyUse::Journal), made.derive(KeyUse::CompiledCode));
        assert_ne!(made.derive(KeyUse::Journal).expose(), &[7; 32]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays");
        assert_eq!(format!("{made:?} {:?}", made.derive(KeyUse::Journal)), "HostKey(…) SubKey(…)");
    }

    #[test]
    fn the_journals_key_of_a_known_host_key_is_frozen() {
        let key = hex::encode(HostKey([1; 32]).derive(KeyUse::Journal).expose());
        assert_eq!(key, "90975a295f8af715546614e0a5b554f55050a788c81cddb51fc3c73a86c80b72");
    }

    #[test]
    fn the_audit_key_of_a_known_host_key_is_frozen() {
        let key = hex::encode(HostKey([1; 32]).derive(KeyUse::Audit).expose());
        assert_eq!(key, "9837cc646e3a8ff3bdc9904b41997fa4e8ca6110d22fba7336e5f7fa306e6905");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.key");
        HostKey::load_or_create(&path, || Ok([7; 32])).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = HostKey::load_or_create(&path, never).unwrap_err();
            assert_eq!(error.code(), Code::KeyFile);
            assert!(error.to_string().contains("host.key") && error.hint().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.key");
        for content in [vec![], vec![1; 31], vec![1; 33]] {
            private_file().write(true).create(true).truncate(true).open(&path).unwrap().write_all(&content).unwrap();
            assert_eq!(HostKey::load_or_create(&path, never).unwrap_err().code(), Code::KeyFile);
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
        let nowhere = dir.path().join("no/such/host.key");
        assert_eq!(HostKey::load_or_create(&nowhere, || Ok([7; 32])).unwrap_err().code(), Code::KeyFile);
        assert_eq!(HostKey::load_or_create(dir.path(), never).unwrap_err().code(), Code::KeyFile);
    }

    #[test]
    fn of_many_that_make_it_at_once_all_have_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.key");
        let keys = std::thread::scope(|scope| {
            let hosts: Vec<_> = (0..8)
                .map(|i| {
                    scope.spawn({
                        let path = &path;
                        move || HostKey::load_or_create(path, || Ok([i; 32])).unwrap().0
                    })
                })
                .collect();
            hosts.into_iter().map(|host| host.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(keys.iter().all(|key| key == &keys[0]), "{keys:?}");
        create(&path, &[99; 32]).unwrap();
        assert_eq!(load(&path).unwrap().unwrap().0, keys[0]);
    }
}
