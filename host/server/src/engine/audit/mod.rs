//! The audit log as the host keeps it: entries get their places, size and root are signed, and what is
//! signed goes where no host can rewrite it. `anchor`: those places; `export`: the log as files;
//! `prove`: what it has about one run.
//!
//! **Invariant**: nothing is signed or sent that does not go on from what was signed and sent before.

mod anchor;
mod export;
mod prove;

use mendwright_core::key::SecretKey;
use mendwright_core::note::{Note, VerifierKey};
use mendwright_core::plan::{Digest, Header};
use mendwright_core::tlog::Checkpoint;
use mendwright_crash::{Point, reached};
use mendwright_gateway::batched::Batch;
use mendwright_store::{AuditStatus, Fact, HostKey, KeyUse, RunRecord, Store, StoredCheckpoint, StoredPlan};

use super::{host_key, open_store, problem, state_path};
use crate::api::status::{AnchorBody, AuditBody};
use crate::config::env::Env;
use crate::config::model::Audit;
use crate::config::{Anchor, Config};
use crate::view::problem::Problem;
use mendwright_core::code::Code;

pub(crate) use anchor::{Elsewhere, Pauses, read_notes};
pub(crate) use export::export;

/// Entries that get their places in one transaction: it takes a few milliseconds.
const SEQUENCED_AT_ONCE: u32 = 1_000;

/// Transactions of one round of [`Log::keep`]: whoever calls it does other things too.
const ROUNDS_MAX: u32 = 10;

/// The name and the key under which the log is signed.
pub struct LogKey {
    origin: String,
    secret: SecretKey,
}

impl LogKey {
    /// The host's own. A log without a name of its own is named after its key.
    pub(crate) fn of(host: &HostKey, origin: Option<&str>) -> Self {
        let secret = SecretKey::from_random(*host.derive(KeyUse::Audit).expose());
        let origin = origin.map_or_else(|| format!("mendwright/{}", secret.id()), str::to_owned);
        Self { origin, secret }
    }

    /// What anybody verifies the log with.
    ///
    /// # Errors
    /// None: the configuration takes no other names.
    pub fn verifier(&self) -> Result<VerifierKey, Problem> {
        VerifierKey::new(&self.origin, self.secret.public())
            .map_err(|error| Problem::new(Code::ConfigValue, error.to_string()))
    }
}

/// What a round came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Entries that got their places.
    pub sequenced: u64,
    /// What is signed.
    pub signed: Option<StoredCheckpoint>,
}

/// The control store and the key of the log, for commands that need nothing else of a host.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) key: LogKey,
    pub(crate) audit: Audit,
}

impl Opened {
    /// Opens the control store and the host's key.
    pub(crate) async fn open(config: &Config, env: &Env) -> Result<Self, Problem> {
        let store = open_store(config, env).await?;
        let host = host_key(&state_path(config, store.place()))?;
        let key = LogKey::of(&host, config.audit.origin.as_deref());
        Ok(Self { store, key, audit: config.audit.clone() })
    }

    pub(crate) const fn log(&self) -> Log<'_> {
        Log { store: &self.store, key: &self.key, audit: &self.audit }
    }
}

/// The log, with everything to keep it.
#[derive(Clone, Copy)]
pub(crate) struct Log<'a> {
    pub(crate) store: &'a Store,
    pub(crate) key: &'a LogKey,
    pub(crate) audit: &'a Audit,
}

impl Log<'_> {
    /// Gives every entry its place that was committed when this began.
    pub(crate) async fn catch_up(&self) -> Result<u64, Problem> {
        let waiting = self.store.audit_status().await.map_err(problem::store)?.waiting;
        let mut sequenced = 0;
        while sequenced < waiting {
            match self.store.sequence(SEQUENCED_AT_ONCE).await.map_err(problem::store)? {
                0 => break,
                n => sequenced += n,
            }
        }
        Ok(sequenced)
    }

    /// Signs the log as it is now; `None` for one without entries. A control store that was put back to an
    /// earlier day does not know what it signed since: the places elsewhere do.
    pub(crate) async fn sign(&self) -> Result<Option<StoredCheckpoint>, Problem> {
        let verifier = self.key.verifier()?;
        for place in &self.audit.anchors {
            anchor::check(self.store, place, &verifier).await?;
        }
        self.store.checkpoint(&self.key.origin, &self.key.secret).await.map_err(problem::store)
    }

    /// Sends a checkpoint to every place that has not got it. One that cannot be written keeps no other from it.
    pub(crate) async fn anchor(&self, checkpoint: &StoredCheckpoint, now_us: i64) -> Result<(), Problem> {
        self.anchor_where(checkpoint, now_us, &Pauses::default()).await
    }

    /// The same, but for places that took nothing a short while ago.
    async fn anchor_where(&self, checkpoint: &StoredCheckpoint, now_us: i64, pauses: &Pauses) -> Result<(), Problem> {
        let (key, mut first) = (self.key.verifier()?, None);
        let known = self.store.audit_status().await.map_err(problem::store)?.anchors;
        for place in &self.audit.anchors {
            let name = place.to_string();
            let before = known.iter().find(|known| known.place == name).map_or(0, |known| known.size);
            // A file is looked at each time: it may have lost what it had.
            let has = before >= checkpoint.size && !matches!(place, Anchor::File(_));
            if has || !pauses.is_due(&name, now_us) {
                continue;
            }
            let sending = anchor::Sending { store: self.store, key: &key, checkpoint, before };
            let sent = match anchor::send(place, sending).await {
                Ok(None) => Ok(()),
                Ok(Some(taken)) => {
                    reached(Point::CheckpointSent);
                    let word = taken.cosignature.as_deref();
                    let noted = self.store.anchored(&name, checkpoint.size, word, now_us).await;
                    noted.map(|()| reached(Point::Anchored)).map_err(problem::store)
                }
                Err(problem) => Err(problem),
            };
            pauses.note(&name, sent.as_ref().map(drop).map_err(|problem| problem.code), now_us);
            if let Err(problem) = sent {
                tracing::error!(%place, %problem, "a checkpoint was not anchored");
                first.get_or_insert(problem);
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// What is known of each place elsewhere.
    pub(crate) async fn elsewhere(&self, key: &VerifierKey) -> Result<Vec<Elsewhere>, Problem> {
        let status = self.store.audit_status().await.map_err(problem::store)?;
        let mut found = Vec::new();
        for place in &self.audit.anchors {
            let name = place.to_string();
            let known = status.anchors.iter().find(|known| known.place == name);
            found.push(anchor::elsewhere(self.store, place, key, known).await?);
        }
        Ok(found)
    }

    /// A bounded round: places, a checkpoint if one is due, and its way elsewhere.
    pub(crate) async fn keep(&self, now_us: i64, pauses: &Pauses) -> Result<Kept, Problem> {
        let mut kept = Kept::default();
        for _ in 0..ROUNDS_MAX {
            let n = self.store.sequence(SEQUENCED_AT_ONCE).await.map_err(problem::store)?;
            kept.sequenced += n;
            if n < u64::from(SEQUENCED_AT_ONCE) {
                break;
            }
        }
        let every = i64::try_from(self.audit.every.as_micros()).unwrap_or(i64::MAX);
        let since = self.store.unsigned_since_us().await.map_err(problem::store)?;
        if since.is_some_and(|since| since.saturating_add(every) <= now_us) {
            kept.signed = self.sign().await?;
        }
        // One that a place did not take before is sent again, whether or not there is a newer one.
        let status = self.store.audit_status().await.map_err(problem::store)?;
        let Some(checkpoint) = status.checkpoint else { return Ok(kept) };
        let has = |place: &String| status.anchors.iter().any(|a| a.place == *place && a.size >= checkpoint.size);
        if !self.audit.anchors.iter().map(ToString::to_string).all(|place| has(&place)) {
            self.anchor_where(&checkpoint, now_us, pauses).await?;
        }
        Ok(kept)
    }
}

/// How far the log is signed and out of the host's hands.
pub(crate) fn standing(audit: &Audit, status: &AuditStatus, pauses: &Pauses) -> AuditBody {
    let of = |place: &Anchor| {
        let place = place.to_string();
        let size = status.anchors.iter().find(|known| known.place == place).map_or(0, |known| known.size);
        AnchorBody { size, problem: pauses.why(&place).map(|why| why.text().to_owned()), place }
    };
    AuditBody {
        entries: status.size,
        waiting: status.waiting,
        signed: status.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size),
        anchors: audit.anchors.iter().map(of).collect(),
    }
}

/// Every checkpoint in a text that `key` signed; others are passed over.
pub(crate) fn checkpoints(text: &str, key: &VerifierKey) -> Vec<Checkpoint> {
    let note = |note: Note| Checkpoint::open(&note.to_string(), key).ok();
    read_notes(text).into_iter().filter_map(note).collect()
}

/// That the target holds a plan: delivered with the step that says so, by whichever host finds it there. Where it
/// came in several transactions these were told before, and nothing is told again.
pub(super) fn flushed(run: &RunRecord, plan: &StoredPlan, root: Option<Digest>, now_us: i64) -> Fact {
    let header = &plan.header;
    let fact = Fact::new("target.flushed", "host", now_us)
        .delivery(format!("flush:{}:0:0", run.id))
        .say("plan", plan.digest)
        .say("changes_root", header.changes_root)
        .say("changes_count", &header.changes_count)
        .say("target", identity_of(run, header))
        .say("generation", 0);
    rooted(fact, root)
}

/// With the root over its pages in the target's journal, where that is known.
fn rooted(fact: Fact, root: Option<Digest>) -> Fact {
    match root {
        Some(root) => fact.say("journal_root", root),
        None => fact,
    }
}

/// That the target holds one of several transactions of a plan.
pub(super) fn flushed_batch(run: &RunRecord, header: &Header, batch: &Batch, now_us: i64) -> Fact {
    let fact = Fact::new("target.flushed", "host", now_us)
        .delivery(format!("flush:{}:0:{}", run.id, batch.n))
        .say("plan", header.digest())
        .say("batch", batch.n)
        .say("changes_count", batch.changes)
        .say("target", identity_of(run, header))
        .say("generation", 0);
    rooted(fact, batch.root)
}

fn identity_of<'h>(run: &RunRecord, header: &'h Header) -> &'h str {
    let target = header.targets.iter().find(|target| Some(&target.database) == run.target.as_ref());
    target.or_else(|| header.targets.first()).map_or("", |target| target.identity.as_str())
}

/// That the target holds an undo, or an undo of that.
pub(super) fn rolled_back(run: &RunRecord, undo: Digest, root: Option<Digest>, now_us: i64) -> Fact {
    let generation = run.undo_generation + 1;
    let fact = Fact::new("target.rolled_back", "host", now_us)
        .delivery(format!("flush:{}:{generation}:0", run.id))
        .say("undo", undo)
        .say("generation", generation);
    let fact = rooted(fact, root);
    match run.plan_digest {
        Some(digest) => fact.say("plan", digest),
        None => fact,
    }
}
