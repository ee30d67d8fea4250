//! Places for checkpoints that no host can rewrite. `file`: one that is appended to; `post`: an address in the web;
//! `witness`: somebody who looks at what was added before they countersign; `pauses`: when one that took nothing is
//! tried again.

mod file;
mod pauses;
mod post;
mod witness;

use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::Checkpoint;
use mendwright_store::{Anchored, Store, StoredCheckpoint};

use crate::config::Anchor;
use crate::view::problem::Problem;

pub(crate) use file::read_notes;
pub(crate) use pauses::Pauses;

/// What there is to send, and what is known of a place.
#[derive(Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) store: &'a Store,
    /// The log's.
    pub(super) key: &'a VerifierKey,
    pub(super) checkpoint: &'a StoredCheckpoint,
    /// The size of the last one that the place took.
    pub(super) before: u64,
}

/// That a place has a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What a witness says of it: its signature line.
    pub(super) cosignature: Option<String>,
}

/// Sends a checkpoint to a place; `None` where it has a later one already, from another host. A place that can say
/// what it has takes only what goes on from that.
pub(super) async fn send(place: &Anchor, sending: Sending<'_>) -> Result<Option<Taken>, Problem> {
    match place {
        Anchor::File(path) => file::send(sending.store, path, sending.checkpoint, sending.key).await?,
        Anchor::Web(url) => post::checkpoint(url, &sending.checkpoint.note).await?,
        Anchor::Witness(witness) => return witness::cosignature(witness, sending).await,
    }
    Ok(Some(Taken::default()))
}

/// Whether the log goes on from what a place has, as far as that can be read there.
pub(super) async fn check(store: &Store, place: &Anchor, key: &VerifierKey) -> Result<(), Problem> {
    match place {
        Anchor::File(path) => file::check(store, path, key).await,
        // It takes, and gives nothing back; a witness looks for itself.
        Anchor::Web(_) | Anchor::Witness(_) => Ok(()),
    }
}

/// What is known of a place elsewhere.
pub(crate) struct Elsewhere {
    pub(crate) place: String,
    /// The size of the last checkpoint there; 0 for none.
    pub(crate) size: u64,
    /// Checkpoints that do not stand on this host's word: read there, or countersigned.
    pub(crate) received: Vec<Checkpoint>,
    /// Whether one that the place took must be among them.
    pub(crate) is_readable: bool,
}

/// What is known of a place, of which the control store says `known`.
pub(super) async fn elsewhere(
    store: &Store,
    place: &Anchor,
    key: &VerifierKey,
    known: Option<&Anchored>,
) -> Result<Elsewhere, Problem> {
    let received = match place {
        Anchor::File(path) => file::received(path, key).await?,
        Anchor::Web(_) => Vec::new(),
        Anchor::Witness(witness) => witness::countersigned(store, witness, key, known).await?,
    };
    let is_readable = !matches!(place, Anchor::Web(_));
    let last = received.iter().map(|checkpoint| checkpoint.size).max().unwrap_or(0);
    let size = if is_readable { last } else { known.map_or(0, |known| known.size) };
    Ok(Elsewhere { place: place.to_string(), size, received, is_readable })
}
