//! What an approval covers, and the digest over it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::budget::Budget;
use crate::level::Level;

/// Keeps a plan's digest apart from every other hash that we make.
const DOMAIN: &[u8] = b"mendwright plan v1\n";

/// A SHA-256 of something, printed as `sha256:` and hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of this value's RFC 8785 form.
    ///
    /// # Panics
    /// Never for types of this crate: they hold no maps with keys other than strings and no floats.
    #[must_use]
    pub fn of_json<T: Serialize>(value: &T) -> Self {
        #[expect(clippy::expect_used, reason = "our own types of strings and integers always serialize")]
        Self::of(&serde_json_canonicalizer::to_vec(value).expect("plain types serialize"))
    }

    /// Sixty-four hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `sha256:` and 64 hex digits")]
pub struct ParseDigestError(pub String);

impl FromStr for Digest {
    type Err = ParseDigestError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text
            .strip_prefix("sha256:")
            .and_then(|digits| hex::decode(digits).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| ParseDigestError(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// The job of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The contract it was written for.
    pub wit: String,
    /// The component's bytes.
    pub component: Digest,
    /// The manifest's bytes.
    pub manifest: Digest,
}

/// The frozen time and seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Microseconds since 1970-01-01 UTC, as text.
    pub now_us: String,
    /// Sixteen hex digits.
    pub seed: String,
}

/// A database that the plan reads or changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `[database.NAME]`.
    pub database: String,
    /// `sqlite` or `postgres`.
    pub engine: String,
    /// The identity that `database init` wrote into it.
    pub identity: String,
    /// The database's own name or file name.
    pub name: String,
    /// PostgreSQL's system identifier; empty for SQLite.
    pub system: String,
}

/// What policy said the plan needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The level.
    pub level: Level,
    /// How many people must approve.
    pub approvals_needed: u32,
}

/// The applied plan that a plan takes back in the job's own way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compensates {
    /// The run that was applied: `run_018f…`.
    pub run: String,
    /// The digest of its plan, and so the rows that the component is asked about.
    pub plan: Digest,
}

/// Everything besides the changes that an approval covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The job.
    pub job: JobRef,
    /// Its parameters; where `params_masked` says so, each one's value as a commitment.
    pub params: serde_json::Value,
    /// Whether the parameters could hold the value of a sensitive column, and are masked for that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub params_masked: bool,
    /// Whose data.
    pub tenant: String,
    /// `[grant.NAME]`s that matched.
    pub grants: Vec<String>,
    /// Over the authority that they gave.
    pub grants_digest: Digest,
    /// The budget that the run had.
    pub budget: Budget,
    /// The frozen time and seed.
    pub frozen: Frozen,
    /// Over each resolved resource.
    pub bindings: BTreeMap<String, Digest>,
    /// The databases.
    pub targets: Vec<Target>,
    /// What policy said.
    pub outcome: Outcome,
    /// Whether each change stands alone.
    pub independent: bool,
    /// `resource/key` of the changes that `--only` kept; empty for all.
    pub only: Vec<String>,
    /// Of a compensation: what it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensates: Option<Compensates>,
    /// Resources of which every row read must still be the same in the flush.
    pub stable_reads: Vec<String>,
    /// How many changes.
    pub changes_count: String,
    /// RFC 6962 root over them.
    pub changes_root: Digest,
}

impl Header {
    /// The digest that people approve.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let body = Digest::of_json(self);
        Digest(Sha256::new().chain_update(DOMAIN).chain_update(body.0).finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            job: JobRef {
                name: "reconcile_invoices".into(),
                version: "1.0.0".into(),
                wit: "mendwright:repair@0.1.0".into(),
                component: Digest([1; 32]),
                manifest: Digest([2; 32]),
            },
            params: serde_json::json!({"rounding": "half-even"}),
            params_masked: false,
            tenant: "Germany".into(),
            grants: vec!["reconcile-eu".into()],
            grants_digest: Digest([3; 32]),
            budget: Budget::default(),
            frozen: Frozen { now_us: "1763608329000000".into(), seed: "5f1d9ab2c47e0388".into() },
            bindings: [("invoices".to_owned(), Digest([4; 32]))].into(),
            targets: vec![Target {
                database: "chinook".into(),
                engine: "sqlite".into(),
                identity: "tgt_0".into(),
                name: "chinook.db".into(),
                system: String::new(),
            }],
            outcome: Outcome { level: Level::Assisted, approvals_needed: 1 },
            independent: true,
            only: vec![],
            compensates: None,
            stable_reads: vec![],
            changes_count: "6".into(),
            changes_root: Digest([5; 32]),
        }
    }

    #[test]
    fn the_digest_of_a_known_header_is_frozen() {
        insta::assert_snapshot!(header().digest());
    }

    #[test]
    fn every_field_of_the_header_moves_the_digest() {
        let original = header();
        let json = serde_json::to_value(&original).unwrap();
        let mut changed = 0;
        for key in json.as_object().unwrap().keys() {
            let mut other = original.clone();
            match key.as_str() {
                "job" => other.job.component = Digest([9; 32]),
                "params" => other.params = serde_json::json!({}),
                "tenant" => other.tenant = "France".into(),
                "grants" => other.grants.clear(),
                "grants_digest" => other.grants_digest = Digest([9; 32]),
                "budget" => other.budget.share_changed = Some(1),
                "frozen" => other.frozen.seed = "0".into(),
                "bindings" => other.bindings.clear(),
                "targets" => other.targets[0].identity = "tgt_1".into(),
                "outcome" => other.outcome.approvals_needed = 2,
                "independent" => other.independent = false,
                "only" => other.only.push("invoices/6".into()),
                "stable_reads" => other.stable_reads.push("invoices".into()),
                "changes_count" => other.changes_count = "7".into(),
                "changes_root" => other.changes_root = Digest([9; 32]),
                new => panic!("say here how `{new}` changes"),
            }
            assert_ne!(other.digest(), original.digest(), "{key}");
            changed += 1;
        }
        assert_eq!(changed, 15);
        // These stand in a header only where they say something.
        assert_ne!(Header { params_masked: true, ..original.clone() }.digest(), original.digest());
        let of = |run: &str, plan| Some(Compensates { run: run.into(), plan: Digest([plan; 32]) });
        let digests = [None, of("run_1", 1), of("run_2", 1), of("run_1", 2)]
            .map(|compensates| Header { compensates, ..original.clone() }.digest());
        assert_eq!(digests.into_iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(digests[0], original.digest());
    }
}
