//! A file of checkpoints, one after another, to which this host only appends.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use mendwright_core::code::Code;
use mendwright_core::note::{Note, VerifierKey};
use mendwright_core::tlog::Checkpoint;
use mendwright_store::{Store, StoredCheckpoint};

use crate::engine::audit::checkpoints;
use crate::engine::problem;
use crate::view::problem::Problem;

/// What is read of a file of checkpoints at most: a checkpoint a minute is 100 MB a year.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What is read of it to append: the last few hundred checkpoints.
const TAIL_BYTES: u64 = 64 << 10;

/// What the lines of a note's signatures begin with.
const SIGNATURE: &str = "\u{2014} ";

/// Sends a checkpoint to a place, if what is there is the beginning of it.
pub(super) async fn send(
    store: &Store,
    path: &Path,
    checkpoint: &StoredCheckpoint,
    key: &VerifierKey,
) -> Result<(), Problem> {
    let text = read(path, TAIL_BYTES).await?;
    if compare(store, path, &text, key).await? >= checkpoint.size {
        return Ok(());
    }
    // A note that was cut off by a full disk is passed over, and must not spoil the next.
    let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n\n" };
    append(path, format!("{gap}{}\n", checkpoint.note)).await
}

/// Whether the log goes on from what a place has. One that cannot be read says nothing.
pub(super) async fn check(store: &Store, path: &Path, key: &VerifierKey) -> Result<(), Problem> {
    let Ok(text) = read(path, TAIL_BYTES).await else { return Ok(()) };
    compare(store, path, &text, key).await.map(drop)
}

/// The size of the last checkpoint, from which the log goes on.
async fn compare(store: &Store, path: &Path, text: &str, key: &VerifierKey) -> Result<u64, Problem> {
    let received = checkpoints(text, key);
    if received.is_empty() && !text.trim().is_empty() {
        return Err(foreign(path, key));
    }
    let Some(last) = received.iter().max_by_key(|received| received.size) else { return Ok(0) };
    store.continues(last).await.map_err(|error| {
        problem::store(error).detail(format!("file:{} holds a checkpoint of {} entries", path.display(), last.size))
    })?;
    Ok(last.size)
}

/// Every checkpoint of this log at a place, as they came.
pub(super) async fn received(path: &Path, key: &VerifierKey) -> Result<Vec<Checkpoint>, Problem> {
    let text = read(path, FILE_BYTES_MAX).await?;
    let received = checkpoints(&text, key);
    if received.is_empty() && !text.trim().is_empty() {
        return Err(foreign(path, key));
    }
    Ok(received)
}

fn foreign(path: &Path, key: &VerifierKey) -> Problem {
    Problem::new(Code::AuditForked, format!("file:{} holds no checkpoint that {} signed", path.display(), key.name()))
        .detail("it is another log's, or the log's key or name has changed since")
        .next("mendwright audit key", "this log's name and key")
}

/// The notes in a text, one after another with an empty line between. What is cut off is passed over.
pub(crate) fn read_notes(text: &str) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut body: Option<&str> = None;
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        if block.starts_with(SIGNATURE) {
            let note = body.take().map(|body| format!("{body}\n\n{block}\n"));
            notes.extend(note.and_then(|note| Note::parse(&note).ok()));
        } else if !block.is_empty() {
            body = Some(block);
        }
    }
    notes
}

/// Another disk, perhaps another machine's: nobody else waits for it.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    path: &Path,
    act: impl FnOnce(PathBuf) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let owned = path.to_owned();
    let done = tokio::task::spawn_blocking(move || act(owned)).await.map_err(std::io::Error::other);
    done.and_then(|done| done).map_err(|error| {
        Problem::new(Code::Io, format!("{} cannot be {what}: {error}", path.display()))
            .detail("`anchor` under [audit] names it; what is not there is not anchored")
    })
}

/// The last `at_most` bytes of a file as text; empty where there is none.
async fn read(path: &Path, at_most: u64) -> Result<String, Problem> {
    let act = move |path: PathBuf| {
        let mut file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(at_most)))?;
        let mut bytes = Vec::new();
        file.take(at_most).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    blocking("read", path, act).await
}

/// Appends, and comes back when it is on the disk.
async fn append(path: &Path, text: String) -> Result<(), Problem> {
    let act = move |path: PathBuf| {
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => std::fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    blocking("written", path, act).await
}

#[cfg(test)]
mod tests {
    use mendwright_core::key::SecretKey;

    use super::*;

    #[test]
    fn notes_are_read_one_after_another_and_cut_ones_passed_over() {
        let secret = SecretKey::from_random([1; 32]);
        let key = VerifierKey::new("log", secret.public()).unwrap();
        let note = |size| Checkpoint::new("log", size, [7; 32]).sign(&secret).unwrap().to_string();
        let whole = format!("{}\n{}\n", note(1), note(2));
        let sizes = |text: &str| checkpoints(text, &key).iter().map(|c| c.size).collect::<Vec<_>>();
        assert_eq!(sizes(&whole), [1, 2]);
        assert_eq!(sizes(&note(3)), [3], "a single note is one too");
        let two = note(2);
        for cut in (0..two.len()).filter(|cut| two.is_char_boundary(*cut)) {
            let (gap, cut) = ("\n\n", &two[..cut]);
            let found = sizes(&format!("{}\n{cut}{gap}{}\n", note(1), note(3)));
            // All but the last newline is the whole note.
            assert!(found == [1, 3] || (found == [1, 2, 3] && cut.len() == two.len() - 1), "{cut}: {found:?}");
        }
        assert!(sizes("").is_empty());
        let other = SecretKey::from_random([2; 32]);
        assert!(sizes(&Checkpoint::new("log", 9, [7; 32]).sign(&other).unwrap().to_string()).is_empty());
    }
}
