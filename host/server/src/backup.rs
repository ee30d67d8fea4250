//! A backup: a directory with a copy of the control store, the host's key, and what they hash to.
//!
//! **Invariants**: a backup is made whole or not at all (`backup.json` is written last); nothing of one is used
//! before everything of it was compared. It holds the host's key, without which no journal can be undone: it is
//! readable by its owner only, and to be kept as closely as the key.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_store::{Store, backup};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::{problem, rfc3339};
use crate::view::problem::Problem;

/// What a backup's `format` says.
const FORMAT: &str = "mendwright.backup.v1";
/// The copy of the control store.
const CONTROL: &str = "control.db";
/// The host's key.
const KEY: &str = "host.key";
/// What the directory holds.
const CONTENTS: &str = "backup.json";

/// `backup.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// `mendwright.backup.v1`.
    pub format: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// The version that made it.
    pub mendwright: String,
    /// Entries of the audit log.
    pub audit_entries: u64,
    /// SHA-256 of each file.
    pub files: BTreeMap<String, Digest>,
}

/// Makes a backup in a directory that does not exist yet.
///
/// # Errors
/// The directory exists, or cannot be written; what was begun is left for a look.
pub async fn make(store: &Store, key: &Path, directory: &Path, now_us: i64) -> Result<Contents, Problem> {
    if backup::file(store).is_none() {
        return Err(on_a_server());
    }
    let wrote = |error| io("written", directory, &error);
    std::fs::DirBuilder::new().mode(0o700).create(directory).map_err(wrote)?;
    store.copy_into(&directory.join(CONTROL)).await.map_err(problem::store)?;
    let secret = std::fs::read(key).map_err(|error| io("read", key, &error))?;
    write(&directory.join(KEY), &secret)?;
    let hash = |name: &str| digest(&directory.join(name)).map(|digest| (name.to_owned(), digest));
    let contents = Contents {
        format: FORMAT.to_owned(),
        made_at: rfc3339(now_us),
        mendwright: env!("CARGO_PKG_VERSION").to_owned(),
        audit_entries: store.audit_status().await.map_err(problem::store)?.size,
        files: [CONTROL, KEY].into_iter().map(hash).collect::<Result<_, _>>()?,
    };
    let json =
        serde_json::to_string_pretty(&contents).map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    write(&directory.join(CONTENTS), format!("{json}\n").as_bytes())?;
    std::fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(wrote)?;
    Ok(contents)
}

/// A backup, every file of which is what it says.
pub struct Checked {
    /// What it holds.
    pub contents: Contents,
    directory: PathBuf,
}

impl Checked {
    /// Compares everything.
    ///
    /// # Errors
    /// It is no backup, or not as it was made.
    pub async fn open(directory: &Path) -> Result<Self, Problem> {
        let path = directory.join(CONTENTS);
        let text = std::fs::read(&path).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
        let contents: Contents =
            serde_json::from_slice(&text).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
        if contents.format != FORMAT {
            return Err(invalid(format!("{} is of another version", path.display())));
        }
        for name in [CONTROL, KEY] {
            let path = directory.join(name);
            let wanted = contents.files.get(name).ok_or_else(|| invalid(format!("it says nothing of {name}")))?;
            if digest(&path)? != *wanted {
                return Err(invalid(format!("{} is not what was copied", path.display())));
            }
        }
        backup::check_copy(&directory.join(CONTROL)).await.map_err(problem::store)?;
        Ok(Self { contents, directory: directory.to_owned() })
    }

    /// Puts it in the place of a control store and its key; what was there is moved aside. Gives what was.
    ///
    /// # Errors
    /// Somebody has the store open, or a file cannot be written.
    pub async fn put_back(&self, control: &Path, key: &Path, aside: &str) -> Result<Option<PathBuf>, Problem> {
        let secret = std::fs::read(self.directory.join(KEY)).map_err(|error| io("read", &self.directory, &error))?;
        let copy = self.directory.join(CONTROL);
        let was = backup::put_back(&copy, control, aside).await.map_err(problem::store)?;
        match std::fs::read(key) {
            Ok(there) if there == secret => return Ok(was),
            Ok(_) => {
                let mut name = key.as_os_str().to_owned();
                name.push(aside);
                std::fs::rename(key, PathBuf::from(name)).map_err(|error| io("moved", key, &error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io("read", key, &error)),
        }
        write(key, &secret)?;
        Ok(was)
    }
}

/// A control store on a server has tools of its own.
#[must_use]
pub fn on_a_server() -> Problem {
    Problem::new(
        Code::BackupInvalid,
        "the control store is a PostgreSQL server: it is backed up with the server's own tools",
    )
    .detail(
        "pg_dump --schema mendwright_control --format custom --file control.dump $CONTROL_URL; keep mendwright.key beside it",
    )
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| io("written", path, &error))
}

fn digest(path: &Path) -> Result<Digest, Problem> {
    let mut file = std::fs::File::open(path).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut part).map_err(|error| io("read", path, &error))?;
        if read == 0 {
            return Ok(Digest(hash.finalize().into()));
        }
        hash.update(part.get(..read).unwrap_or_default());
    }
}

fn invalid(what: String) -> Problem {
    Problem::new(Code::BackupInvalid, format!("no backup can be used from there: {what}"))
}

fn io(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Code::Io, format!("{} cannot be {what}: {error}", path.display()))
}
