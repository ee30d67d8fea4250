//! The audit log: its tree hashed again from the bytes of its entries (RFC 6962), its checkpoints'
//! signatures (C2SP signed notes), and whether it tells of every flush once.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Scene;
use crate::books::Commits;
use crate::sql::{Db, cell, int, text};

type Hash = [u8; 32];

/// The name and the public key of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey {
    name: String,
    key: VerifyingKey,
}

impl LogKey {
    /// Reads `NAME+HASH+BASE64`.
    ///
    /// # Errors
    /// It is no ed25519 key in that form.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            bail!("`{text}` is no NAME+HASH+BASE64")
        };
        let bytes = STANDARD.decode(key)?;
        ensure!(bytes.first() == Some(&1), "not an ed25519 key");
        let key = VerifyingKey::try_from(bytes.get(1..).unwrap_or_default())?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// SHA-256(name ‖ newline ‖ type ‖ key)[..4].
    fn hash(&self) -> [u8; 4] {
        let hash: Hash = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', 1])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Size and root of a checkpoint that this key signed.
    fn open(&self, note: &str) -> anyhow::Result<(usize, String)> {
        let at = note.rfind("\n\n").context("no signatures")?;
        let (body, signatures) = (note.get(..=at).unwrap_or_default(), note.get(at + 2..).unwrap_or_default());
        let own = format!("— {} ", self.name);
        let signed = signatures.lines().filter_map(|line| line.strip_prefix(&own)).any(|signature| {
            let Ok(bytes) = STANDARD.decode(signature) else { return false };
            let Some((hash, signature)) = bytes.split_first_chunk::<4>() else { return false };
            let Ok(signature) = Signature::try_from(signature) else { return false };
            *hash == self.hash() && self.key.verify_strict(body.as_bytes(), &signature).is_ok()
        });
        ensure!(signed, "its signature is not by {} over this text", self.name);
        let mut lines = body.lines();
        let (name, size, root) = (lines.next(), lines.next(), lines.next());
        ensure!(name == Some(&self.name), "it is of another log: {name:?}");
        Ok((size.context("no size")?.parse()?, root.context("no root")?.to_owned()))
    }
}

fn leaf(entry: &str) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry.as_bytes()).finalize().into()
}

/// The root over these leaves, as RFC 6962 says it.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        many => {
            // The largest power of two that is smaller.
            let half = many.len().next_power_of_two() / 2;
            let (left, right) = many.split_at(half);
            Sha256::new().chain_update([1]).chain_update(root(left)).chain_update(root(right)).finalize().into()
        }
    }
}

/// Gives how many entries there are.
pub(crate) async fn check(
    scene: &Scene,
    control: &mut Db,
    commits: &Commits,
    wrong: &mut Vec<String>,
) -> anyhow::Result<usize> {
    let mut leaves = Vec::new();
    let mut entries = Vec::new();
    for row in control.table(&["leaf", "entry", "hash"], "audit_leaves ORDER BY leaf").await? {
        let (n, entry) = (int(&row, 0)?, text(&row, 1)?);
        if usize::try_from(n) != Ok(leaves.len()) {
            wrong.push(format!("the log has entry {n} where {} should be", leaves.len()));
        }
        let hash = leaf(&entry);
        if hex::encode(hash) != text(&row, 2)? {
            wrong.push(format!("entry {n} of the log does not hash to what is kept of it"));
        }
        leaves.push(hash);
        entries.push(entry);
    }
    checkpoints(scene, control, &leaves, wrong).await?;
    facts(control, &entries, wrong).await?;
    tells(control, &entries, commits, wrong).await?;
    Ok(entries.len())
}

async fn checkpoints(scene: &Scene, control: &mut Db, leaves: &[Hash], wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let mut last = 0;
    for row in control.table(&["seq", "size", "note"], "audit_checkpoints ORDER BY seq").await? {
        let (seq, size, note) = (int(&row, 0)?, int(&row, 1)?, text(&row, 2)?);
        match scene.key.open(&note) {
            Err(error) => wrong.push(format!("checkpoint {seq}: {error}")),
            Ok((signed, _)) if i64::try_from(signed) != Ok(size) => {
                wrong.push(format!("checkpoint {seq} is of {signed} entries, and kept for {size}"));
            }
            Ok((signed, said)) => match leaves.get(..signed) {
                Some(covered) if STANDARD.encode(root(covered)) == said => last = signed,
                Some(_) => wrong.push(format!("checkpoint {seq}: the first {signed} entries are not those signed")),
                None => wrong.push(format!("checkpoint {seq} is of {signed} entries; {} are there", leaves.len())),
            },
        }
    }
    if last != leaves.len() {
        wrong.push(format!("{last} of {} entries are signed", leaves.len()));
    }
    Ok(())
}

/// Every row has its place, and says what the entry there says.
async fn facts(control: &mut Db, entries: &[String], wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let columns = ["id", "leaf", "kind", "run", "tenant", "actor", "at_us"];
    let mut rows = 0;
    for row in control.table(&columns, "audit_entries ORDER BY id").await? {
        rows += 1;
        let id = int(&row, 0)?;
        let Some(place) = cell(&row, 1) else {
            wrong.push(format!("the audit entry {id} has no place in the log"));
            continue;
        };
        let entry = place.parse::<usize>().ok().and_then(|place| entries.get(place));
        let Some(entry) = entry.map(|entry| serde_json::from_str::<Value>(entry)).transpose()? else {
            wrong.push(format!("the audit entry {id} has the place {place}, which is not there"));
            continue;
        };
        let same =
            ["id", "kind", "run", "tenant", "actor", "at_us"].into_iter().zip([0, 2, 3, 4, 5, 6]).all(|(name, n)| {
                let said = entry.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                said == *cell(&row, n)
            });
        if !same {
            wrong.push(format!("the audit entry {id} says something else than the log: {row:?}, {entry}"));
        }
    }
    if rows != entries.len() {
        wrong.push(format!("{rows} audit entries, {} of them in the log", entries.len()));
    }
    Ok(())
}

/// The log tells of each run's beginning, of each of its steps, and of each flush once.
async fn tells(control: &mut Db, entries: &[String], commits: &Commits, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    let mut count = |what: String| *told.entry(what).or_default() += 1;
    for entry in entries {
        let entry: Value = serde_json::from_str(entry)?;
        let of = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let run = entry.get("run").map(Value::to_string).unwrap_or_default();
        match of("kind").as_str() {
            "run.begun" => count(format!("begun {run}")),
            "run.moved" => count(format!("moved {run}")),
            "target.flushed" | "target.rolled_back" => count(of("delivery")),
            _ => {}
        }
    }
    let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
    let steps = "runs LEFT JOIN run_events ON run_events.run = runs.number GROUP BY number";
    for row in control.table(&["number", "count(seq)"], steps).await? {
        let (number, steps) = (int(&row, 0)?, int(&row, 1)?);
        wanted.insert(format!("begun {number}"), 1);
        if steps > 0 {
            wanted.insert(format!("moved {number}"), steps);
        }
    }
    wanted.extend(commits.keys().map(|(run, generation)| (format!("flush:{run}:{generation}:0"), 1)));
    for what in told.keys().chain(wanted.keys()) {
        let (told, wanted) = (told.get(what).unwrap_or(&0), wanted.get(what).unwrap_or(&0));
        if told != wanted {
            wrong.push(format!("the log tells `{what}` {told} times, and it happened {wanted} times"));
        }
    }
    Ok(())
}
