//! Many reads of one state of a target, while its application goes on writing.
//!
//! PostgreSQL gives this with one read-only REPEATABLE READ transaction and a cursor for each scan. A
//! SQLite connection can walk only one result at a time, so several connections are opened on the
//! same state: they are, if nobody committed between the first and the last of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use mendwright_core::binding::{Resolved, Resource};
use mendwright_core::code::Code;
use mendwright_crash::{Point, reached};

use super::connection::{Arg, Connection, RawRow, Role};
use super::engine::Engine;
use super::lite::raw_row;
use super::session::seen;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::target::Target;

/// Rows of a page; the contract promises components no more than this.
pub(crate) const PAGE_ROWS: usize = 1_000;

/// How often a common state is sought. Each try takes about a millisecond; an application that
/// commits a thousand times a second still leaves gaps.
const SQLITE_TRIES_MAX: u32 = 500;

/// One state of a target.
pub(crate) struct Snapshot {
    target: Target,
    main: Connection,
    walkers: Walkers,
    /// PostgreSQL: sees to it that the application never waits for long.
    watch: Option<Watch>,
    /// Holds the copy that is read where the file is not in WAL mode.
    _copy: Option<TempDir>,
}

enum Walkers {
    Sqlite { free: Vec<Connection>, coming_back: Vec<JoinHandle<Connection>> },
    Postgres { opened: u64, closed: Vec<String> },
}

/// An open scan.
pub(crate) enum Scan {
    /// A task walks it on a connection of its own.
    Walked { pages: mpsc::Receiver<Result<Vec<RawRow>>>, task: JoinHandle<Connection> },
    /// It was read to its end.
    Read(std::vec::IntoIter<RawRow>),
    /// A cursor of the server's, by its name.
    Named(String),
}

impl Snapshot {
    /// Takes a snapshot that nothing can write through; on PostgreSQL the first query takes it, not BEGIN.
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let taken = match target.engine {
            Engine::Postgres => Self::open_postgres(target).await,
            Engine::Sqlite => Self::open_sqlite(target).await,
        };
        taken.inspect(|_| reached(Point::SnapshotTaken))
    }

    async fn open_postgres(target: &Target) -> Result<Self> {
        let mut main = Connection::open(target, Role::Read).await?;
        let watch = Some(Watch::start(target, &mut main).await?);
        main.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let walkers = Walkers::Postgres { opened: 0, closed: vec![] };
        Ok(Self { target: target.clone(), main, walkers, watch, _copy: None })
    }

    async fn open_sqlite(target: &Target) -> Result<Self> {
        let mut probe = Connection::open(target, Role::Read).await?;
        let mode = probe.one("PRAGMA journal_mode", vec![]).await?;
        if mode.text() == Some("wal") {
            let (main, free) = if target.walkers == 0 {
                begin(&mut probe).await?;
                (probe, vec![])
            } else {
                let found = same_state(target, &mut probe).await?;
                probe.give_back(target, Role::Read).await;
                found
            };
            let walkers = Walkers::Sqlite { free, coming_back: vec![] };
            return Ok(Self { target: target.clone(), main, walkers, watch: None, _copy: None });
        }
        // Reading a file that is not in WAL mode stops its application from committing. Its copy can
        // be read for as long as it takes.
        let directory = tempfile::tempdir().map_err(|error| Error::unavailable(Code::Io, error.to_string()))?;
        let file = directory.path().join("snapshot.db");
        let path = file.to_string_lossy().into_owned();
        probe.batch("PRAGMA query_only = 0").await?;
        probe.limit_statements(target.dry_run_lock_max.max(target.statement_timeout)).await?;
        probe.file()?.execute_long("VACUUM INTO ?1", &[Arg::text(path.clone())]).await?;
        probe.close().await;
        let mut copy = target.clone().with_pool(0);
        copy.read_url = Some(format!("sqlite:{path}"));
        let mut free = Vec::with_capacity(target.walkers);
        for _ in 0..target.walkers {
            free.push(Connection::open(&copy, Role::Read).await?);
        }
        let main = Connection::open(&copy, Role::Read).await?;
        let walkers = Walkers::Sqlite { free, coming_back: vec![] };
        Ok(Self { target: copy, main, walkers, watch: None, _copy: Some(directory) })
    }

    /// Why the snapshot was ended, if it was: the application waited for it.
    pub(crate) fn ended(&self) -> Option<Error> {
        self.watch.as_ref().and_then(Watch::ended)
    }

    /// What a resource is for a tenant in this state.
    pub(crate) async fn resolve(
        &mut self,
        resource: &Resource,
        all: &BTreeMap<String, Resource>,
        tenant: &str,
    ) -> Result<Arc<Resolved>> {
        seen::resolve(&mut self.main, &self.target, resource, all, tenant).await
    }

    /// The connection for everything that is not a scan.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.main
    }

    /// A small result at once.
    pub(crate) async fn rows(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<RawRow>> {
        self.main.rows(sql, args).await
    }

    /// Opens a scan.
    pub(crate) async fn scan(&mut self, sql: &str, args: Vec<Arg>) -> Result<Scan> {
        match &mut self.walkers {
            Walkers::Postgres { opened, closed } => {
                for name in closed.drain(..) {
                    self.main.batch(&format!("CLOSE {name}")).await?;
                }
                self.main.join_as_it_likes().await?;
                *opened += 1;
                let name = format!("mendwright_{opened}");
                self.main.execute(&format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}"), args).await?;
                Ok(Scan::Named(name))
            }
            Walkers::Sqlite { free, coming_back } => {
                if free.is_empty() {
                    // A walker whose scan was closed comes back once its task saw that.
                    if let Some(done) = coming_back.iter().position(JoinHandle::is_finished) {
                        free.extend(coming_back.swap_remove(done).await.ok());
                    }
                }
                match free.pop() {
                    Some(connection) => Ok(walk(connection, sql.to_owned(), args)),
                    None => Ok(Scan::Read(self.main.rows(sql, args).await?.into_iter())),
                }
            }
        }
    }

    /// The next rows of a scan, at most [`PAGE_ROWS`]; none at its end.
    pub(crate) async fn page(&mut self, scan: &mut Scan) -> Result<Vec<RawRow>> {
        match scan {
            Scan::Walked { pages, .. } => pages.recv().await.unwrap_or_else(|| Ok(Vec::new())),
            Scan::Read(rows) => Ok(rows.by_ref().take(PAGE_ROWS).collect()),
            Scan::Named(name) => self.main.rows(&format!("FETCH FORWARD {PAGE_ROWS} FROM {name}"), vec![]).await,
        }
    }

    /// Closes a scan: a walker goes back to work, a cursor is closed before the next one opens.
    pub(crate) fn close_scan(&mut self, scan: Scan) {
        match (scan, &mut self.walkers) {
            (Scan::Walked { pages, task }, Walkers::Sqlite { coming_back, .. }) => {
                drop(pages);
                coming_back.push(task);
            }
            (Scan::Named(name), Walkers::Postgres { closed, .. }) => closed.push(name),
            (Scan::Read(_) | Scan::Walked { .. } | Scan::Named(_), _) => {}
        }
    }

    /// Gives the state up.
    pub(crate) async fn close(self) {
        // Who looks after it must not end the connection when it is another's.
        drop(self.watch);
        if let Walkers::Sqlite { free, coming_back } = self.walkers {
            for connection in free {
                connection.give_back(&self.target, Role::Read).await;
            }
            for task in coming_back {
                if let Ok(connection) = task.await {
                    connection.give_back(&self.target, Role::Read).await;
                }
            }
        }
        self.main.give_back(&self.target, Role::Read).await;
    }
}

/// Opens connections until all of them see one state: `data_version` tells `probe` whether anybody
/// committed meanwhile.
async fn same_state(target: &Target, probe: &mut Connection) -> Result<(Connection, Vec<Connection>)> {
    let mut connections = Vec::with_capacity(target.walkers + 1);
    for _ in 0..=target.walkers {
        connections.push(Connection::open(target, Role::Read).await?);
    }
    for _ in 0..SQLITE_TRIES_MAX {
        let before = probe.one("PRAGMA data_version", vec![]).await?;
        for connection in &mut connections {
            begin(connection).await?;
        }
        let after = probe.one("PRAGMA data_version", vec![]).await?;
        if before == after
            && let Some(main) = connections.pop()
        {
            return Ok((main, connections));
        }
        for connection in &mut connections {
            connection.batch("ROLLBACK").await?;
        }
    }
    Err(Error::unavailable(
        Code::SnapshotBusy,
        "the application commits so often that no consistent snapshot could be taken; try again",
    ))
}

/// Takes the state as it is.
async fn begin(connection: &mut Connection) -> Result<()> {
    connection.batch("BEGIN").await?;
    // The snapshot is taken by the first read, not by BEGIN.
    connection.rows("SELECT count(*) FROM sqlite_schema", vec![]).await.map(drop)
}

/// Walks a scan in a thread of its own, as far as somebody wants its pages.
fn walk(connection: Connection, sql: String, args: Vec<Arg>) -> Scan {
    let (sender, pages) = mpsc::channel(1);
    let task = tokio::task::spawn_blocking(move || {
        if let Connection::Sqlite(file) = &connection {
            let wants = |page| sender.blocking_send(Ok(page)).is_ok();
            if let Err(error) = file.walk((&sql, &args), PAGE_ROWS, raw_row, wants) {
                // The receiver may be gone; then nobody wants to know.
                let _ = sender.blocking_send(Err(error));
            }
        }
        connection
    });
    Scan::Walked { pages, task }
}
