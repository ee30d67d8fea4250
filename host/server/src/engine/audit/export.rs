//! The log as files (<https://c2sp.org/tlog-tiles>): any web server can hand them out, any witness reads
//! them.

use std::io::Write as _;
use std::path::Path;

use mendwright_core::code::Code;
use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::{Checkpoint, TilePath};
use mendwright_store::{Store, StoredCheckpoint};

use super::super::problem;
use crate::view::problem::Problem;

/// Under which name the signed checkpoint stands.
const CHECKPOINT: &str = "checkpoint";

/// Writes every tile that a directory has not yet, and the checkpoint last: a reader never finds one whose
/// tiles are missing. Gives how many tiles were written.
///
/// # Errors
/// [`Code::AuditForked`] where the directory holds a log that this one is no continuation of.
pub(crate) async fn export(
    store: &Store,
    directory: &Path,
    checkpoint: &StoredCheckpoint,
    key: &VerifierKey,
) -> Result<u64, Problem> {
    let there = before(store, directory, key).await?;
    let mut written = 0;
    for path in TilePath::added(there, checkpoint.size) {
        let tile = store.audit_tile(&path).await.map_err(problem::store)?;
        let tile =
            tile.ok_or_else(|| Problem::new(Code::AuditTampered, format!("{path} of the audit log is missing")))?;
        put(&directory.join(path.to_string()), &tile)?;
        written += 1;
    }
    put(&directory.join(CHECKPOINT), checkpoint.note.as_bytes())?;
    Ok(written)
}

/// How much of the log the directory has.
async fn before(store: &Store, directory: &Path, key: &VerifierKey) -> Result<u64, Problem> {
    let path = directory.join(CHECKPOINT);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed("read", &path, &error)),
    };
    let there = Checkpoint::open(&text, key).map_err(|error| {
        Problem::new(Code::AuditForked, format!("{} is not this log's: {error}", path.display()))
            .detail("give another directory")
    })?;
    store.continues(&there).await.map_err(problem::store)?;
    Ok(there.size)
}

/// Whole or not at all: written beside its place, and then put there.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let write = || {
        std::fs::create_dir_all(parent)?;
        let mut beside = tempfile::NamedTempFile::new_in(parent)?;
        beside.write_all(bytes)?;
        beside.as_file().sync_all()?;
        beside.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        beside.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| failed("written", path, &error))
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Code::Io, format!("{} cannot be {what}: {error}", path.display()))
}
