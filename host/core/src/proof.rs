//! What somebody downloads to prove a run offline: the log's entries about it, each with its way to a
//! signed checkpoint, and the word of people with the registry that made it count.
//!
//! To verify it takes two things from elsewhere: the log's key and the digest of the registry's first
//! version. What the document says of itself is believed only where those lead to it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::approval::{self, CheckpointRef, Expected, Nonce, NotCounted, Statement, Tally, Terms, Vote};
use crate::code::Code;
use crate::dsse::Envelope;
use crate::id::RunId;
use crate::key::PublicKey;
use crate::level::Level;
use crate::merkle;
use crate::note::VerifierKey;
use crate::people::{Actor, Chain, RegistryError, Role};
use crate::plan::Digest;
use crate::tlog::tree::Head;
use crate::tlog::{Checkpoint, CheckpointError, ProofError, tile, tree};

/// What a proof's `format` says.
pub const FORMAT: &str = "mendwright.run-proof.v1";
/// The largest proof: it is read into memory whole.
pub const PROOF_BYTES_MAX: usize = 64 << 20;
/// The most entries: a run has some dozens.
pub const ENTRIES_MAX: usize = 10_000;
/// The most statements: each of a handful of persons a few times.
pub const STATEMENTS_MAX: usize = 1000;
/// The longest way to a root of a tree whose size fits 64 bits.
const PATH_MAX: usize = 64;

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProof {
    /// Larger than it may be.
    #[error("the proof is larger than it may be")]
    TooLarge,
    /// Not the JSON of a proof.
    #[error("not the JSON of a proof: {0}")]
    Json(String),
    /// A field holds what it cannot.
    #[error("proof: {0}")]
    Field(&'static str),
    /// The checkpoint is not the log's.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointError),
    /// An entry is not in the log.
    #[error("entry {index}: {reason}")]
    Entry {
        /// Its number in the log.
        index: u64,
        /// Why not.
        reason: ProofError,
    },
    /// The log is no continuation of one that somebody named when they signed.
    #[error("the log of {size} entries that somebody signed about is not the beginning of this one: {reason}")]
    Kept {
        /// How many entries they knew.
        size: u64,
        /// Why not.
        reason: ProofError,
    },
    /// The registry is not the one that is trusted.
    #[error("{0}")]
    Registry(#[from] RegistryError),
}

impl InvalidProof {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge | Self::Json(_) | Self::Field(_) | Self::Checkpoint(_) | Self::Entry { .. } => {
                Code::AuditTampered
            }
            Self::Kept { .. } => Code::AuditForked,
            Self::Registry(error) => error.code(),
        }
    }
}

/// One entry of the log, and its way to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenEntry {
    /// Its number in the log.
    pub index: u64,
    /// Its bytes in base64.
    pub entry: String,
    /// The hashes of the inclusion proof, each in base64.
    pub path: Vec<String>,
}

impl ProvenEntry {
    /// The entry's bytes, where they are base64.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.entry).ok()
    }

    /// An entry with its inclusion proof.
    #[must_use]
    pub fn new(index: u64, entry: &[u8], path: &[merkle::Hash]) -> Self {
        Self { index, entry: STANDARD.encode(entry), path: path.iter().map(|hash| STANDARD.encode(hash)).collect() }
    }
}

/// A statement and when the host received it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// The statement.
    pub envelope: Envelope,
    /// Microseconds since 1970, by the control database's clock.
    pub at_us: i64,
}

/// What people decided, and on what. The facts (who asked, how many were needed, when, and that no
/// statement was left out) are the host's word, as good as the entries of the log that tell them; the
/// statements are the people's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Every version of the registry up to the one in force.
    pub registry: Vec<Envelope>,
    /// Every statement that was handed in, in the order in which they came.
    pub statements: Vec<Received>,
    /// The plan.
    pub plan: Digest,
    /// The undo, where it was decided about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Digest>,
    /// The run's nonce.
    pub nonce: Nonce,
    /// Whose data.
    pub tenant: String,
    /// The identities of the databases.
    pub targets: BTreeSet<String>,
    /// The plan's level.
    pub level: Level,
    /// Who asked.
    pub requester: Actor,
    /// How many had to approve.
    pub needed: u32,
    /// In which role.
    pub role: Role,
    /// When it was counted: microseconds since 1970.
    pub decided_at_us: i64,
}

/// A state of the log that somebody named when they signed, and its way to the checkpoint: that log is the
/// beginning of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What they named.
    pub earlier: CheckpointRef,
    /// The hashes of the consistency proof, each in base64.
    pub path: Vec<String>,
}

impl Kept {
    /// An earlier state with its consistency proof.
    #[must_use]
    pub fn new(earlier: CheckpointRef, path: &[merkle::Hash]) -> Self {
        Self { earlier, path: path.iter().map(|hash| STANDARD.encode(hash)).collect() }
    }
}

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunProof {
    /// [`FORMAT`].
    pub format: String,
    /// The run: `run_018f…`.
    pub run: String,
    /// The checkpoint that everything leads to, as a signed note.
    pub checkpoint: String,
    /// The log's entries about the run, in the log's order.
    pub entries: Vec<ProvenEntry>,
    /// The word of people, where the run needed any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// The same about each undo that needed any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undos: Vec<Decision>,
    /// The states of the log that the statements name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// What a proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The log as it was signed.
    pub checkpoint: Checkpoint,
    /// The entries: number and bytes.
    pub entries: Vec<(u64, Vec<u8>)>,
}

/// The word of people, counted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recount {
    /// What counts; its votes are the statements that are not in `not_counted`, in their order.
    pub tally: Tally,
    /// Statements that are not genuine, or not about this run as it was decided: which, from 0, and why.
    pub not_counted: Vec<(usize, NotCounted)>,
}

impl RunProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`InvalidProof`] says what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidProof> {
        if json.len() > PROOF_BYTES_MAX {
            return Err(InvalidProof::TooLarge);
        }
        let proof: Self = serde_json::from_slice(json).map_err(|error| InvalidProof::Json(error.to_string()))?;
        if proof.format != FORMAT {
            return Err(InvalidProof::Field("`format` is not one that this version knows"));
        }
        let decisions = proof.decision.iter().chain(&proof.undos);
        let statements: usize = decisions.map(|decision| decision.statements.len()).sum();
        if proof.entries.len() > ENTRIES_MAX || statements > STATEMENTS_MAX {
            return Err(InvalidProof::TooLarge);
        }
        Ok(proof)
    }

    /// Whether the log with this key holds every entry.
    ///
    /// # Errors
    /// [`InvalidProof`] of the first that it does not hold.
    pub fn verify(&self, log: &VerifierKey) -> Result<Proven, InvalidProof> {
        let checkpoint = Checkpoint::open(&self.checkpoint, log)?;
        if !self.entries.is_sorted_by(|a, b| a.index < b.index) {
            return Err(InvalidProof::Field("`entries` are in the log's order, each once"));
        }
        let mut entries = Vec::with_capacity(self.entries.len());
        for proven in &self.entries {
            let ProvenEntry { index, path, .. } = proven;
            let bytes = proven.bytes().filter(|bytes| bytes.len() <= tile::ENTRY_BYTES_MAX);
            let bytes = bytes.ok_or(InvalidProof::Field("`entry` is not base64, or too long"))?;
            let path = hashes(path, PATH_MAX)?;
            tree::verify_inclusion(&merkle::leaf(&bytes), *index, checkpoint.size, &checkpoint.root, &path)
                .map_err(|reason| InvalidProof::Entry { index: *index, reason })?;
            entries.push((*index, bytes));
        }
        for Kept { earlier, path } in &self.kept {
            let (old, new) = (
                Head { size: earlier.size, root: &earlier.root.0 },
                Head { size: checkpoint.size, root: &checkpoint.root },
            );
            // A consistency proof walks down one side and up the other.
            tree::verify_consistency(old, new, &hashes(path, 2 * PATH_MAX)?)
                .map_err(|reason| InvalidProof::Kept { size: earlier.size, reason })?;
        }
        for named in self.named() {
            if !self.kept.iter().any(|kept| kept.earlier == named) {
                return Err(InvalidProof::Field("`kept` lacks a state of the log that a statement names"));
            }
        }
        Ok(Proven { checkpoint, entries })
    }

    /// The states of the log that the statements name.
    fn named(&self) -> impl Iterator<Item = CheckpointRef> {
        let statements = self.decision.iter().chain(&self.undos).flat_map(|decision| &decision.statements);
        statements.filter_map(|received| Statement::read(&received.envelope).ok()).map(|said| said.checkpoint)
    }

    /// Counts the word of people again, from the registry's trust root and the keys under which hosts
    /// countersigned sessions. `None` where the document has none.
    ///
    /// # Errors
    /// [`InvalidProof`] where the registry does not lead to the root.
    pub fn recount(&self, root: &Digest, host_keys: &[PublicKey]) -> Result<Option<Recount>, InvalidProof> {
        self.decision.as_ref().map(|decision| self.recount_of(decision, root, host_keys)).transpose()
    }

    /// The same of one decision, about the plan or about an undo.
    ///
    /// # Errors
    /// As [`RunProof::recount`].
    pub fn recount_of(
        &self,
        decision: &Decision,
        root: &Digest,
        host_keys: &[PublicKey],
    ) -> Result<Recount, InvalidProof> {
        let run: RunId = self.run.parse().map_err(|_| InvalidProof::Field("`run` is no run's id"))?;
        let chain = Chain::verify(root, &decision.registry)?;
        let expected = Expected {
            plan: decision.plan,
            undo: decision.undo,
            run,
            nonce: decision.nonce,
            tenant: &decision.tenant,
            targets: &decision.targets,
            level: decision.level,
            host_keys,
            now_us: decision.decided_at_us,
        };
        let registry = chain.in_force(decision.decided_at_us);
        let (mut votes, mut not_counted): (Vec<Vote>, Vec<_>) = (Vec::new(), Vec::new());
        for (number, Received { envelope, at_us }) in decision.statements.iter().enumerate() {
            match approval::verify(envelope, *at_us, registry, &expected) {
                Ok(vote) => votes.push(vote),
                Err(reason) => not_counted.push((number, reason)),
            }
        }
        let terms = Terms {
            requester: &decision.requester,
            needed: decision.needed,
            role: decision.role,
            level: decision.level,
            now_us: decision.decided_at_us,
        };
        Ok(Recount { tally: approval::tally(&votes, &terms), not_counted })
    }
}

/// Hashes in base64, at most `max`.
fn hashes(texts: &[String], max: usize) -> Result<Vec<merkle::Hash>, InvalidProof> {
    let decode = |text: &String| STANDARD.decode(text).ok()?.try_into().ok();
    let hashes: Option<Vec<merkle::Hash>> = if texts.len() > max { None } else { texts.iter().map(decode).collect() };
    hashes.ok_or(InvalidProof::Field("`path` is not a list of hashes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::Verb;
    use crate::merkle::Hash;
    use crate::people::testing::{document, person, role, secret, signed};
    use crate::tlog::Nodes;

    struct Leaves(Vec<Hash>);

    impl Nodes for Leaves {
        type Error = std::convert::Infallible;
        fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
            let range = usize::try_from(index << level).unwrap()..usize::try_from((index + 1) << level).unwrap();
            Ok(merkle::Tree::of_hashes(&self.0[range]).root())
        }
    }

    const LOG: u8 = 200;
    const NOW: i64 = 1_763_600_000_000_000;

    fn log() -> VerifierKey {
        VerifierKey::new("log.example", secret(LOG).public()).unwrap()
    }

    fn people() -> crate::people::Document {
        let admin = role(Role::Admin, &["*"]);
        let approver = role(Role::Approver, &["*"]);
        document(vec![person("ana", &[1], &[admin]), person("bo", &[2], &[approver])], 1)
    }

    fn decision(run: RunId, known: CheckpointRef) -> Decision {
        let statement = Statement {
            verb: Verb::Approve,
            plan: Digest([1; 32]),
            undo: None,
            run: run.to_string(),
            nonce: Nonce([9; 16]),
            tenant: "globex".into(),
            targets: ["tgt_1".to_owned()].into(),
            person: "bo".parse().unwrap(),
            role: Role::Approver,
            key: secret(2).id(),
            expires_at_us: NOW + 1,
            checkpoint: known,
            session: None,
            reason: None,
        };
        let mut envelope = statement.envelope().unwrap();
        envelope.sign(&secret(2));
        Decision {
            registry: vec![signed(&people(), &[1])],
            statements: vec![Received { envelope, at_us: NOW - 1 }],
            plan: statement.plan,
            undo: None,
            nonce: statement.nonce,
            tenant: statement.tenant,
            targets: statement.targets,
            level: Level::Assisted,
            requester: "ana".parse().unwrap(),
            needed: 1,
            role: Role::Approver,
            decided_at_us: NOW,
        }
    }

    fn proof() -> RunProof {
        let entries: Vec<Vec<u8>> = (0..11).map(|n| format!("entry {n}").into_bytes()).collect();
        let leaves = Leaves(entries.iter().map(|entry| merkle::leaf(entry)).collect());
        let checkpoint = Checkpoint::new("log.example", 11, merkle::Tree::of_hashes(&leaves.0).root());
        let prove = |index: u64| {
            let Ok(path) = tree::inclusion(&leaves, index, 11);
            ProvenEntry::new(index, &entries[usize::try_from(index).unwrap()], &path)
        };
        let run = RunId::from_time(1, [0; 10]);
        let known = CheckpointRef { size: 7, root: Digest(merkle::Tree::of_hashes(&leaves.0[..7]).root()) };
        let Ok(path) = tree::consistency(&leaves, 7, 11);
        RunProof {
            format: FORMAT.into(),
            run: run.to_string(),
            checkpoint: checkpoint.sign(&secret(LOG)).unwrap().to_string(),
            entries: [2, 5, 10].map(prove).into(),
            decision: Some(decision(run, known.clone())),
            undos: Vec::new(),
            kept: vec![Kept::new(known, &path)],
        }
    }

    fn root() -> Digest {
        Digest::of(&people().payload())
    }

    #[test]
    fn a_proof_is_frozen_and_verifies_with_two_things_from_elsewhere() {
        let json = serde_json::to_string_pretty(&proof()).unwrap();
        insta::assert_snapshot!(json);
        let read = RunProof::parse(json.as_bytes()).unwrap();
        let proven = read.verify(&log()).unwrap();
        assert_eq!(proven.entries[1], (5, b"entry 5".to_vec()));
        assert_eq!(proven.checkpoint.size, 11);
        let recount = read.recount(&root(), &[]).unwrap().unwrap();
        assert_eq!((recount.tally.enough, recount.not_counted), (true, vec![]));
        assert_eq!(RunProof { decision: None, ..read }.recount(&root(), &[]), Ok(None));
    }

    #[test]
    fn a_changed_proof_proves_nothing() {
        let check = |change: &dyn Fn(&mut RunProof), wanted: &str| {
            let mut proof = proof();
            change(&mut proof);
            let recount = proof.verify(&log()).and_then(|_| proof.recount(&root(), &[]));
            let error = match recount {
                Ok(recount) => {
                    let recount = recount.unwrap();
                    assert!(!recount.tally.enough, "{wanted}");
                    recount.not_counted[0].1.to_string()
                }
                Err(error) => error.to_string(),
            };
            assert!(error.contains(wanted), "{error}");
        };
        check(&|p| p.entries[0].entry = STANDARD.encode("entry 3"), "entry 2: the proof leads to another root");
        check(&|p| p.entries[0].index = 3, "entry 3: the proof");
        check(&|p| p.entries[2].index = 11, "cannot be");
        check(&|p| p.entries[0].path.clear(), "length");
        check(&|p| p.entries[0].path[0].insert(0, '!'), "not a list of hashes");
        check(&|p| p.entries.swap(0, 1), "in the log's order");
        check(&|p| p.kept[0].path.truncate(1), "is not the beginning of this one");
        check(&|p| p.kept.clear(), "lacks a state of the log");
        check(&|p| p.checkpoint = p.checkpoint.replace("\n11\n", "\n12\n"), "not over this text");
        check(&|p| p.run = RunId::from_time(2, [0; 10]).to_string(), "it is about another run");
        let decided = |change: fn(&mut Decision)| move |p: &mut RunProof| p.decision.iter_mut().for_each(change);
        check(&decided(|d| d.plan = Digest([2; 32])), "older plan");
        check(&decided(|d| d.decided_at_us = NOW + 1), "expired");
        check(&decided(|d| d.registry[0] = signed(&document(people().persons, 1), &[2])), "none of the signatures");
        check(&decided(|d| d.registry.clear()), "the registry is empty");
    }

    #[test]
    fn a_proof_of_another_root_or_log_is_refused() {
        let other = VerifierKey::new("log.example", secret(1).public()).unwrap();
        assert!(matches!(proof().verify(&other), Err(InvalidProof::Checkpoint(_))));
        assert!(matches!(proof().recount(&Digest([0; 32]), &[]), Err(InvalidProof::Registry(_))));
        let json = serde_json::to_string(&proof()).unwrap();
        assert!(matches!(
            RunProof::parse(json.replace("proof.v1", "proof.v2").as_bytes()),
            Err(InvalidProof::Field(_))
        ));
        assert!(matches!(RunProof::parse(json.replacen('{', "{\"x\":1,", 1).as_bytes()), Err(InvalidProof::Json(_))));
    }
}
