//! What a run did to a target, kept in that target, so that the host alone can undo it.
//!
//! A journal row is a page: some hundred changed rows of one group, with a MAC under a key of the
//! host's; the commit's own MAC covers the root over these. A page that is edited, removed or added is
//! found before anything is restored.

mod page;
mod prune;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

use mendwright_core::code::Code;
use mendwright_core::merkle::Tree;
use mendwright_core::plan::header::Digest;

use super::super::connection::{Arg, Connection};
use super::super::engine::Engine;
use super::super::raw::Raw;
use super::fence::Fence;
use crate::error::{Error, Result};
use crate::target::Target;
use page::Stored;
pub(crate) use page::{Entry, Head, Page, entries};
pub(crate) use prune::prune;

/// The key that journal rows are signed with.
#[derive(Clone)]
pub struct MacKey(pub [u8; 32]);

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(…)")
    }
}

/// Which flush of a run: 0 applied the plan, 1 undid it, 2 undid that …
pub(crate) type Generation = u32;

/// What pages and a commit belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlushId<'a> {
    pub(crate) run: &'a str,
    pub(crate) generation: Generation,
    /// Which transaction of it; 0 where there is one.
    pub(crate) batch: u32,
}

impl FlushId<'_> {
    /// What was committed before it: the batch before, or the flush that it undoes. `None` of the first one.
    const fn stands_on(self) -> Option<Self> {
        match self {
            Self { batch: 1.., .. } => Some(Self { batch: self.batch - 1, ..self }),
            Self { generation: 1.., .. } => Some(Self { generation: self.generation - 1, ..self }),
            Self { .. } => None,
        }
    }
}

/// The one line that says a flush was committed; unique by digest and by (run, generation), with its
/// batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Commit {
    pub(crate) digest: Digest,
    pub(crate) run: String,
    pub(crate) generation: Generation,
    pub(crate) batch: u32,
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

pub(crate) fn sign<T: Serialize>(key: &MacKey, value: &T) -> String {
    mac(key, &Digest::of_json(value).0)
}

/// The name of one of our tables in a target.
pub(crate) fn own_table(target: &Target, name: &str) -> String {
    match target.engine {
        Engine::Sqlite => super::super::engine::ident(&format!("mendwright_{name}")),
        Engine::Postgres => target.engine.table(Some(&target.schema), name),
    }
}

/// `?1, ?2` or `$1::text, $2::bigint`: parameters of these kinds, from this one on.
fn params(engine: Engine, first: usize, kinds: &[&str]) -> String {
    let one = |(n, kind): (usize, &&str)| match engine {
        Engine::Sqlite => format!("?{n}"),
        Engine::Postgres => format!("${n}::{kind}"),
    };
    (first..).zip(kinds).map(one).collect::<Vec<_>>().join(", ")
}

/// The statement that writes a page, and how many parameters it has.
fn page_statement(target: &Target) -> (String, usize) {
    let kinds = ["text", "bigint", "bigint", "bigint", "text", "text", "text", "text", "text", "bigint", "text"];
    let sql = format!(
        "INSERT INTO {} (run, generation, batch, page, resource, relation, action, columns, rows, changes, mac)
         VALUES ({})",
        own_table(target, "journal"),
        params(target.engine, 1, &kinds)
    );
    (sql, kinds.len())
}

/// The statement that writes a commit, its parameters from this one on, and how many these are.
fn commit_statement(target: &Target, first: usize) -> (String, usize) {
    let kinds = ["text", "text", "bigint", "bigint", "text", "text", "bigint", "bigint", "bigint", "text"];
    let sql = format!(
        "INSERT INTO {} (digest, run, generation, batch, tenant, kind, epoch, committed_at_us, changes, mac)
         VALUES ({}) ON CONFLICT DO NOTHING",
        own_table(target, "commits"),
        params(target.engine, first, &kinds)
    );
    (sql, kinds.len())
}

/// Writes pages, and counts their MACs into a root.
pub(crate) struct Writer<'a> {
    key: &'a MacKey,
    id: FlushId<'a>,
    sql: String,
    root: Tree,
    pages: i64,
    /// PostgreSQL: the last page. It is written with the next one, or with the commit in one message.
    waits: Option<Vec<Arg>>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(target: &Target, key: &'a MacKey, id: FlushId<'a>) -> Self {
        Self { key, id, sql: page_statement(target).0, root: Tree::default(), pages: 0, waits: None }
    }

    /// Writes one page.
    pub(crate) async fn page<'r>(
        &mut self,
        connection: &mut Connection,
        head: &Head,
        rows: impl ExactSizeIterator<Item = [&'r [Raw]; 3]>,
    ) -> Result<()> {
        let Stored { page, resource, relation, action, columns, rows, changes, mac } =
            Stored::new(self.key, self.id, self.pages, head, rows);
        self.root.push(mac.as_bytes());
        self.pages += 1;
        let args = vec![
            Arg::text(self.id.run),
            Arg::Int(i64::from(self.id.generation)),
            Arg::Int(i64::from(self.id.batch)),
            Arg::Int(page),
            Arg::text(resource),
            Arg::text(relation),
            Arg::text(action),
            Arg::text(columns),
            Arg::text(rows),
            Arg::Int(changes),
            Arg::text(mac),
        ];
        let now = match connection.engine() {
            Engine::Sqlite => Some(args),
            Engine::Postgres => self.waits.replace(args),
        };
        match now {
            Some(args) => connection.execute(&self.sql, args).await.map(drop),
            None => Ok(()),
        }
    }

    /// Writes the line that makes the flush count: the same plan a second time is refused by its key. And lets the
    /// next run in. Gives the root over the pages.
    pub(super) async fn commit(
        self,
        connection: &mut Connection,
        target: &Target,
        commit: &Commit,
        fence: &Fence,
    ) -> Result<Digest> {
        let root = self.root.root();
        let mac = sign(self.key, &(commit, hex::encode(root)));
        let args = vec![
            Arg::text(commit.digest.to_string()),
            Arg::text(commit.run.clone()),
            Arg::Int(i64::from(commit.generation)),
            Arg::Int(i64::from(commit.batch)),
            Arg::text(commit.tenant.clone()),
            Arg::text(commit.kind),
            Arg::Int(commit.epoch),
            Arg::Int(commit.committed_at_us),
            Arg::Int(commit.changes),
            Arg::text(mac),
        ];
        let n_written = match self.waits {
            Some(page) => together(connection, target, page, args, fence).await?,
            None => {
                let n = connection.execute(&commit_statement(target, 1).0, args).await?;
                fence.release(connection, target).await?;
                n
            }
        };
        if n_written == 1 { Ok(Digest(root)) } else { Err(used()) }
    }
}

/// PostgreSQL: a page, the commit and the fence's release in one message; gives how many commits that is.
async fn together(
    connection: &mut Connection,
    target: &Target,
    page: Vec<Arg>,
    commit: Vec<Arg>,
    fence: &Fence,
) -> Result<u64> {
    let (paged, n_page) = page_statement(target);
    let (committed, n_commit) = commit_statement(target, n_page + 1);
    let next = n_page + n_commit + 1;
    let released = Fence::released(target, &format!("${next}"), &format!("${}", next + 1));
    let sql = format!(
        "WITH page AS ({paged}), released AS ({released}), done AS ({committed} RETURNING 1)
         SELECT count(*)::text FROM done"
    );
    connection.count(&sql, [page, commit, fence.own()].concat()).await
}

/// SQLite: whether the target already holds the plan or the flush. Asked before its journal would clash with the
/// first one's; what decides is the key that [`Writer::commit`] writes. PostgreSQL says it where the fence is held.
pub(super) async fn is_used(
    connection: &mut Connection,
    target: &Target,
    id: FlushId<'_>,
    digest: Digest,
) -> Result<bool> {
    let sql = format!(
        "SELECT count(*) FROM {} WHERE batch = ?4 AND (digest = ?1 OR (run = ?2 AND generation = ?3))",
        own_table(target, "commits")
    );
    let args = vec![
        Arg::text(digest.to_string()),
        Arg::text(id.run),
        Arg::Int(i64::from(id.generation)),
        Arg::Int(i64::from(id.batch)),
    ];
    Ok(connection.count(&sql, args).await? > 0)
}

/// Says so where the target lost what this flush stands on: it was set back to a time before, or replaced.
pub(crate) async fn stands(connection: &mut Connection, target: &Target, id: FlushId<'_>) -> Result<()> {
    match id.stands_on() {
        Some(before) if find(connection, target, before).await?.is_none() => Err(lost(id.run)),
        _ => Ok(()),
    }
}

/// Why there is no journal to read: it was kept long enough, or the target lost it.
pub(crate) async fn absent(connection: &mut Connection, target: &Target, id: FlushId<'_>) -> Result<Error> {
    Ok(match find(connection, target, id).await? {
        Some(_) => Error::refused(
            Code::JournalExpired,
            "the target's journal does not hold this run any more: it can no longer be undone",
        ),
        None => lost(id.run),
    })
}

fn lost(run: &str) -> Error {
    Error::Diverged(format!("the target does not know of a write of {run} that it had committed"))
}

pub(super) fn used() -> Error {
    Error::refused(Code::PlanUsed, "this plan was applied before; a plan is used once")
}

/// A commit as the target has it.
pub(crate) struct Found {
    pub(crate) commit: Commit,
    mac: String,
    /// Whether its pages are no longer kept.
    pruned: bool,
}

/// What the target knows of a run's flush; `None` if it was never committed.
pub(crate) async fn find(connection: &mut Connection, target: &Target, id: FlushId<'_>) -> Result<Option<Found>> {
    let text = |column: &str| match target.engine {
        Engine::Sqlite => column.to_owned(),
        Engine::Postgres => format!("{column}::text"),
    };
    let columns = ["digest", "tenant", "kind", "epoch", "committed_at_us", "changes", "mac", "pruned_at_us"];
    let columns = columns.map(text).join(", ");
    let [a, b, c] = if target.engine == Engine::Sqlite { ["?1", "?2", "?3"] } else { ["$1", "$2", "$3"] };
    let sql = format!(
        "SELECT {columns} FROM {} WHERE run = {a} AND generation = {b} AND batch = {c}",
        own_table(target, "commits")
    );
    let args = vec![Arg::text(id.run), Arg::Int(i64::from(id.generation)), Arg::Int(i64::from(id.batch))];
    let rows = connection.rows(&sql, args).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let [digest, tenant, kind, epoch, at, changes, mac, pruned] = row.as_slice() else { return Err(tampered(id.run)) };
    let found = (|| {
        let commit = Commit {
            digest: digest.text()?.parse().ok()?,
            run: id.run.to_owned(),
            generation: id.generation,
            batch: id.batch,
            tenant: tenant.text()?.to_owned(),
            kind: if kind.text()? == "apply" { "apply" } else { "rollback" },
            epoch: epoch.integer()?,
            committed_at_us: at.integer()?,
            changes: changes.integer()?,
        };
        Some(Found { commit, mac: mac.text()?.to_owned(), pruned: *pruned != Raw::Null })
    })();
    found.map(Some).ok_or_else(|| tampered(id.run))
}

/// Reads the pages of a flush, one at a time, each checked against its MAC. What was read may be
/// believed once [`Reader::next`] has come to the end: only then all of them are checked against the
/// commit's.
pub(crate) struct Reader<'a> {
    key: &'a MacKey,
    id: FlushId<'a>,
    commit: Commit,
    commit_mac: String,
    sql: String,
    root: Tree,
    pages: i64,
}

impl<'a> Reader<'a> {
    /// Finds the flush; `None` if it was never committed, or is no longer kept.
    pub(crate) async fn open(
        connection: &mut Connection,
        target: &Target,
        key: &'a MacKey,
        id: FlushId<'a>,
    ) -> Result<Option<Self>> {
        let Some(found) = find(connection, target, id).await?.filter(|found| !found.pruned) else { return Ok(None) };
        let Found { commit, mac: commit_mac, .. } = found;
        let text = |column: &str| match target.engine {
            Engine::Sqlite => column.to_owned(),
            Engine::Postgres => format!("{column}::text"),
        };
        let columns =
            ["page", "resource", "relation", "action", "columns", "rows", "changes", "mac"].map(text).join(", ");
        let [a, b, c, d] = match target.engine {
            Engine::Sqlite => ["?1", "?2", "?3", "?4"],
            Engine::Postgres => ["$1", "$2", "$3", "$4"],
        };
        let sql = format!(
            "SELECT {columns} FROM {} WHERE run = {a} AND generation = {b} AND batch = {c} AND page >= {d}
             ORDER BY {} LIMIT 1",
            own_table(target, "journal"),
            // Not the text that PostgreSQL is asked for.
            if target.engine == Engine::Postgres { "journal.page" } else { "page" },
        );
        Ok(Some(Self { key, id, commit, commit_mac, sql, root: Tree::default(), pages: 0 }))
    }

    /// The root over the pages that were read, by their MACs.
    pub(crate) fn root(&self) -> Digest {
        Digest(self.root.root())
    }

    /// The next page, and after the last one nothing.
    pub(crate) async fn next(&mut self, connection: &mut Connection) -> Result<Option<Page>> {
        let args = vec![
            Arg::text(self.id.run),
            Arg::Int(i64::from(self.id.generation)),
            Arg::Int(i64::from(self.id.batch)),
            Arg::Int(self.pages),
        ];
        let found = connection.rows(&self.sql, args).await?;
        let Some(row) = found.into_iter().next() else {
            let holds = sign(self.key, &(&self.commit, hex::encode(self.root.root()))) == self.commit_mac;
            return if holds { Ok(None) } else { Err(tampered(self.id.run)) };
        };
        let stored = stored(row).filter(|stored| stored.page == self.pages).ok_or_else(|| tampered(self.id.run))?;
        let page = stored.open(self.key, self.id).ok_or_else(|| tampered(self.id.run))?;
        self.root.push(stored.mac.as_bytes());
        self.pages += 1;
        Ok(Some(page))
    }
}

/// The root over the pages of a flush as this host wrote them; `None` where they are not that, or no longer kept.
pub(crate) async fn root_of(
    connection: &mut Connection,
    target: &Target,
    key: &MacKey,
    id: FlushId<'_>,
) -> Result<Option<Digest>> {
    let read = async {
        let Some(mut reader) = Reader::open(connection, target, key, id).await? else { return Ok(None) };
        while reader.next(connection).await?.is_some() {}
        Ok(Some(reader.root()))
    };
    match read.await {
        Err(Error::Refused { code: Code::JournalTampered, .. }) => Ok(None),
        root => root,
    }
}

/// The MACs of a flush's pages in their order, as the target has them. Nothing is believed of them.
pub(crate) async fn macs(connection: &mut Connection, target: &Target, id: FlushId<'_>) -> Result<Vec<String>> {
    let [a, b, c] = if target.engine == Engine::Sqlite { ["?1", "?2", "?3"] } else { ["$1", "$2", "$3"] };
    let sql = format!(
        "SELECT mac FROM {} WHERE run = {a} AND generation = {b} AND batch = {c} ORDER BY page",
        own_table(target, "journal")
    );
    let args = vec![Arg::text(id.run), Arg::Int(i64::from(id.generation)), Arg::Int(i64::from(id.batch))];
    let rows = connection.rows(&sql, args).await?;
    Ok(rows.iter().filter_map(|row| row.first().and_then(Raw::text)).map(ToOwned::to_owned).collect())
}

fn stored(row: Vec<Raw>) -> Option<Stored> {
    let [page, resource, relation, action, columns, rows, changes, mac] = <[Raw; 8]>::try_from(row).ok()?;
    let text = |raw: Raw| match raw {
        Raw::Text(text) => Some(text),
        Raw::Null | Raw::Integer(_) | Raw::Real(_) | Raw::Blob(_) => None,
    };
    Some(Stored {
        page: page.integer()?,
        resource: text(resource)?,
        relation: text(relation)?,
        action: text(action)?,
        columns: text(columns)?,
        rows: text(rows)?,
        changes: changes.integer()?,
        mac: text(mac)?,
    })
}

fn tampered(run: &str) -> Error {
    Error::refused(
        Code::JournalTampered,
        format!("the journal of {run} is not what this host wrote; nothing was restored"),
    )
}
