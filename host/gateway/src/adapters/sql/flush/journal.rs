//! What a run did to a target, kept in that target, so that the host alone can undo it.
//!
//! Each row carries a MAC under a key of the host's, and the commit's own MAC covers the root over
//! these: a row that is edited, removed or added is found before anything is restored.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

use mendwright_core::change::Action;
use mendwright_core::code::Code;
use mendwright_core::merkle::Tree;
use mendwright_core::plan::header::Digest;

use super::super::connection::{Arg, Connection};
use super::super::engine::Engine;
use super::super::raw::Raw;
use super::super::session::RawCells;
use super::statement::placeholders;
use crate::error::{Error, Result};
use crate::target::Target;

/// The key that journal rows are signed with.
#[derive(Clone)]
pub struct MacKey(pub [u8; 32]);

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(…)")
    }
}

/// Rows of one journal insert on SQLite; five parameters each.
const SQLITE_ROWS_MAX: usize = 1_000;

/// Rows of one journal insert on PostgreSQL.
const POSTGRES_ROWS_MAX: usize = 5_000;

/// Rows that an undo reads at once.
const PAGE_ROWS: i64 = 5_000;

/// Which flush of a run an entry belongs to: 0 applied the plan, 1 undid it, 2 undid that …
pub(crate) type Generation = u32;

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) seq: i64,
    pub(crate) resource: String,
    /// The physical table with its schema, quoted.
    pub(crate) relation: String,
    pub(crate) action: Action,
    /// Physical columns.
    pub(crate) key: RawCells,
    pub(crate) before: RawCells,
    pub(crate) after: RawCells,
}

/// What is signed of an entry. The fields stand in the order of RFC 8785, so that the JSON is its
/// canonical form as it is written: sorting it again would cost more than all of the rest.
#[derive(Serialize)]
struct Signed<'a> {
    action: &'a str,
    after: &'a str,
    before: &'a str,
    generation: Generation,
    key: &'a str,
    relation: &'a str,
    resource: &'a str,
    run: &'a str,
    seq: i64,
}

impl Signed<'_> {
    fn mac(&self, key: &MacKey) -> String {
        // Strings and integers always serialize.
        mac(key, &Digest::of(&serde_json::to_vec(self).unwrap_or_default()).0)
    }
}

/// The one line that says a flush was committed; unique by digest and by (run, generation).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Commit {
    pub(crate) digest: Digest,
    pub(crate) run: String,
    pub(crate) generation: Generation,
    pub(crate) tenant: String,
    pub(crate) kind: &'static str,
    pub(crate) epoch: i64,
    pub(crate) committed_at_us: i64,
    pub(crate) changes: i64,
}

fn mac(key: &MacKey, bytes: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("any key length");
    mac.update(bytes);
    hex::encode(mac.finalize().into_bytes())
}

fn sign<T: Serialize>(key: &MacKey, value: &T) -> String {
    mac(key, &Digest::of_json(value).0)
}

fn cells_text(cells: &RawCells) -> String {
    let mut sorted: Vec<&(String, Raw)> = cells.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut text = Vec::with_capacity(64);
    for (n, (column, raw)) in sorted.into_iter().enumerate() {
        text.push(if n == 0 { b'{' } else { b',' });
        // Writing a string into a vector does not fail.
        let _ = serde_json::to_writer(&mut text, column);
        text.push(b':');
        let _ = serde_json::to_writer(&mut text, &raw.tagged());
    }
    if text.is_empty() {
        text.push(b'{');
    }
    text.push(b'}');
    String::from_utf8(text).unwrap_or_default()
}

fn cells_of(text: &str) -> Option<RawCells> {
    let map: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    map.into_iter().map(|(column, tagged)| Some((column, Raw::from_tagged(&tagged)?))).collect()
}

/// The name of one of our tables in a target.
pub(crate) fn own_table(target: &Target, name: &str) -> String {
    match target.engine {
        Engine::Sqlite => super::super::engine::ident(&format!("mendwright_{name}")),
        Engine::Postgres => target.engine.table(Some(&target.schema), name),
    }
}

/// Writes entries and counts their MACs into `root`.
pub(crate) async fn write(
    connection: &mut Connection,
    target: &Target,
    key: &MacKey,
    (run, generation): (&str, Generation),
    entries: &[Entry],
    root: &mut Tree,
) -> Result<()> {
    let most = if target.engine == Engine::Sqlite { SQLITE_ROWS_MAX } else { POSTGRES_ROWS_MAX };
    let alike = |a: &Entry, b: &Entry| a.action == b.action && a.relation == b.relation && a.resource == b.resource;
    for batch in entries.chunk_by(alike).flat_map(|alike| alike.chunks(most)) {
        let mut texts: [Vec<String>; 4] = Default::default();
        for entry in batch {
            let (k, before, after) = (cells_text(&entry.key), cells_text(&entry.before), cells_text(&entry.after));
            let signed = Signed {
                action: entry.action.word(),
                after: &after,
                before: &before,
                generation,
                key: &k,
                relation: &entry.relation,
                resource: &entry.resource,
                run,
                seq: entry.seq,
            };
            let mac = signed.mac(key);
            root.push(mac.as_bytes());
            for (column, text) in texts.iter_mut().zip([k, before, after, mac]) {
                column.push(text);
            }
        }
        insert(connection, target, (run, generation), batch, texts).await?;
    }
    Ok(())
}

/// Inserts entries that differ in no more than their number and these texts.
async fn insert(
    connection: &mut Connection,
    target: &Target,
    (run, generation): (&str, Generation),
    batch: &[Entry],
    texts: [Vec<String>; 4],
) -> Result<()> {
    let Some(first) = batch.first() else { return Ok(()) };
    let same = [
        Arg::text(run),
        Arg::Int(i64::from(generation)),
        Arg::text(first.resource.as_str()),
        Arg::text(first.relation.as_str()),
        Arg::text(first.action.word()),
    ];
    let into = format!(
        "INSERT INTO {} (run, generation, resource, relation, action, seq, key, before, after, mac)",
        own_table(target, "journal")
    );
    let seqs = batch.iter().map(|entry| entry.seq);
    match target.engine {
        Engine::Postgres => {
            let sql = format!(
                "{into} SELECT $6::text, $7::bigint, $8::text, $9::text, $10::text, u.*
                 FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS u"
            );
            let mut args = vec![Arg::Ints(seqs.collect())];
            args.extend(texts.into_iter().map(|column| Arg::Texts(column.into_iter().map(Some).collect())));
            args.extend(same);
            connection.execute(&sql, args).await?;
        }
        Engine::Sqlite => {
            let mut columns = texts.map(Vec::into_iter);
            let mut args = Vec::with_capacity(batch.len() * 5 + same.len());
            for seq in seqs {
                args.push(Arg::Int(seq));
                args.extend(columns.iter_mut().filter_map(Iterator::next).map(Arg::text));
            }
            let shared: Vec<String> = (1..=same.len()).map(|n| format!("?{}", args.len() + n)).collect();
            args.extend(same);
            let sql = format!(
                "WITH mw AS (VALUES {}) {into} SELECT {}, * FROM mw",
                placeholders(batch.len(), 5),
                shared.join(", ")
            );
            connection.execute(&sql, args).await?;
        }
    }
    Ok(())
}

/// Says no to a plan or a flush that the target already holds, before its journal would clash with the
/// first one's. What decides is the key that [`commit`] writes.
pub(crate) async fn unused(
    connection: &mut Connection,
    target: &Target,
    (run, generation): (&str, Generation),
    digest: Digest,
) -> Result<()> {
    let (count, [a, b, c]) = match target.engine {
        Engine::Sqlite => ("count(*)", ["?1", "?2", "?3"]),
        Engine::Postgres => ("count(*)::text", ["$1", "$2", "$3"]),
    };
    let sql = format!(
        "SELECT {count} FROM {} WHERE digest = {a} OR (run = {b} AND generation = {c})",
        own_table(target, "commits")
    );
    let args = vec![Arg::text(digest.to_string()), Arg::text(run), Arg::Int(i64::from(generation))];
    match connection.count(&sql, args).await? {
        0 => Ok(()),
        _ => Err(used()),
    }
}

fn used() -> Error {
    Error::refused(Code::PlanUsed, "this plan was applied before; a plan is used once")
}

/// Writes the line that makes the flush count: the same plan a second time is refused by its key.
pub(crate) async fn commit(
    connection: &mut Connection,
    target: &Target,
    key: &MacKey,
    commit: &Commit,
    root: &Tree,
) -> Result<()> {
    let mac = sign(key, &(commit, hex::encode(root.root())));
    let cast = |n: usize, kind: &str| match target.engine {
        Engine::Sqlite => format!("?{n}"),
        Engine::Postgres => format!("${n}::{kind}"),
    };
    let sql = format!(
        "INSERT INTO {} (digest, run, generation, tenant, kind, epoch, committed_at_us, changes, mac)
         VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT DO NOTHING",
        own_table(target, "commits"),
        cast(1, "text"),
        cast(2, "text"),
        cast(3, "bigint"),
        cast(4, "text"),
        cast(5, "text"),
        cast(6, "bigint"),
        cast(7, "bigint"),
        cast(8, "bigint"),
        cast(9, "text"),
    );
    let args = vec![
        Arg::text(commit.digest.to_string()),
        Arg::text(commit.run.clone()),
        Arg::Int(i64::from(commit.generation)),
        Arg::text(commit.tenant.clone()),
        Arg::text(commit.kind),
        Arg::Int(commit.epoch),
        Arg::Int(commit.committed_at_us),
        Arg::Int(commit.changes),
        Arg::text(mac),
    ];
    match connection.execute(&sql, args).await? {
        1 => Ok(()),
        _ => Err(used()),
    }
}

/// What the target knows of a run's flush; `None` if it was never committed.
pub(crate) async fn find(
    connection: &mut Connection,
    target: &Target,
    run: &str,
    generation: Generation,
) -> Result<Option<(Commit, String)>> {
    let text = |column: &str| match target.engine {
        Engine::Sqlite => column.to_owned(),
        Engine::Postgres => format!("{column}::text"),
    };
    let columns = ["digest", "tenant", "kind", "epoch", "committed_at_us", "changes", "mac"].map(text).join(", ");
    let (a, b) = if target.engine == Engine::Sqlite { ("?1", "?2") } else { ("$1", "$2") };
    let sql = format!("SELECT {columns} FROM {} WHERE run = {a} AND generation = {b}", own_table(target, "commits"));
    let rows = connection.rows(&sql, vec![Arg::text(run), Arg::Int(i64::from(generation))]).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let [digest, tenant, kind, epoch, at, changes, mac] = row.as_slice() else { return Err(tampered(run)) };
    let found = (|| {
        Some((
            Commit {
                digest: digest.text()?.parse().ok()?,
                run: run.to_owned(),
                generation,
                tenant: tenant.text()?.to_owned(),
                kind: if kind.text()? == "apply" { "apply" } else { "rollback" },
                epoch: epoch.integer()?,
                committed_at_us: at.integer()?,
                changes: changes.integer()?,
            },
            mac.text()?.to_owned(),
        ))
    })();
    found.map(Some).ok_or_else(|| tampered(run))
}

/// Every entry of a run's flush, checked against its MAC and all of them against the commit's.
pub(crate) async fn read(
    connection: &mut Connection,
    target: &Target,
    key: &MacKey,
    run: &str,
    generation: Generation,
) -> Result<Option<(Commit, Vec<Entry>)>> {
    let Some((commit, commit_mac)) = find(connection, target, run, generation).await? else { return Ok(None) };
    let mut root = Tree::default();
    let mut entries = Vec::new();
    let seq = if target.engine == Engine::Sqlite { "seq" } else { "seq::text" };
    let params = if target.engine == Engine::Sqlite { ["?1", "?2", "?3", "?4"] } else { ["$1", "$2", "$3", "$4"] };
    let [a, b, c, d] = params;
    let sql = format!(
        "SELECT {seq}, resource, relation, action, key, before, after, mac FROM {}
         WHERE run = {a} AND generation = {b} AND seq > {c} ORDER BY journal.seq LIMIT {d}",
        format_args!("{} AS journal", own_table(target, "journal"))
    );
    let mut last = i64::MIN;
    loop {
        let args = vec![Arg::text(run), Arg::Int(i64::from(generation)), Arg::Int(last), Arg::Int(PAGE_ROWS)];
        let page = connection.rows(&sql, args).await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            let (entry, mac) = entry_of(key, run, generation, &row).ok_or_else(|| tampered(run))?;
            root.push(mac.as_bytes());
            last = entry.seq;
            entries.push(entry);
        }
    }
    if sign(key, &(&commit, hex::encode(root.root()))) != commit_mac {
        return Err(tampered(run));
    }
    Ok(Some((commit, entries)))
}

fn entry_of(key: &MacKey, run: &str, generation: Generation, row: &[Raw]) -> Option<(Entry, String)> {
    let [seq, resource, relation, action, k, before, after, mac] = row else { return None };
    let signed = Signed {
        action: action.text()?,
        after: after.text()?,
        before: before.text()?,
        generation,
        key: k.text()?,
        relation: relation.text()?,
        resource: resource.text()?,
        run,
        seq: seq.integer()?,
    };
    if signed.mac(key) != mac.text()? {
        return None;
    }
    let entry = Entry {
        seq: signed.seq,
        resource: signed.resource.to_owned(),
        relation: signed.relation.to_owned(),
        action: signed.action.parse().ok()?,
        key: cells_of(signed.key)?,
        before: cells_of(signed.before)?,
        after: cells_of(signed.after)?,
    };
    Some((entry, mac.text()?.to_owned()))
}

fn tampered(run: &str) -> Error {
    Error::refused(
        Code::JournalTampered,
        format!("the journal of {run} is not what this host wrote; nothing was restored"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_canonical_json() {
        let signed = Signed {
            action: "update",
            after: "{\"a\":\"t:\u{1}\u{7f}\u{2028}é\"}",
            before: "{}",
            generation: 0,
            key: "k",
            relation: "\"s\".\"t\"",
            resource: "r",
            run: "run",
            seq: 7,
        };
        let key = MacKey([3; 32]);
        assert_eq!(signed.mac(&key), sign(&key, &signed));
    }

    #[test]
    fn cells_are_kept_by_name_and_read_back() {
        let cell = |name: &str, raw| (name.to_owned(), raw);
        let cells = vec![cell("b\"", Raw::Text("é\n\"".into())), cell("a", Raw::Null), cell("c", Raw::Real(-0.0))];
        let text = cells_text(&cells);
        let map: BTreeMap<&str, String> = cells.iter().map(|(name, raw)| (name.as_str(), raw.tagged())).collect();
        assert_eq!(text, serde_json::to_string(&map).unwrap());
        assert_eq!(cells_of(&text).map(|cells| cells.len()), Some(3));
        assert_eq!(cells_text(&Vec::new()), "{}");
    }
}
