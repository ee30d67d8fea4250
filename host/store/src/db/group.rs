//! SQLite: the one connection that writes, and transactions that share a commit. What a small transaction
//! costs is the disk's answer to COMMIT; it is waited for once for all that are ready.
//!
//! Each takes its turn in the order of arrival, inside a savepoint of its own: one that fails is rolled back
//! and takes nobody with it. The first one begins the transaction and calls for its end, and stands in line for
//! that like any other: whoever waited meanwhile had a turn by then.

use std::io;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

/// Begins a transaction with somebody's first savepoint in it. It takes the write lock at its start.
const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT mendwright";
/// The next one's. Those before stand: COMMIT makes all of them durable.
const NEXT: &str = "SAVEPOINT mendwright";
/// To the last of them.
const BACK: &str = "ROLLBACK TO mendwright";

/// The writing connection; its clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Arc<Mutex<State>>);

/// The writing connection in the hands of one, who has it until this is dropped.
pub(crate) type Alone = OwnedMutexGuard<State>;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) conn: SqliteConnection,
    group: Option<Group>,
    /// Shared transactions so far.
    n_groups: u64,
    /// What is to be cleared away if whoever had the connection gave up.
    left: Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// What one wrote since its savepoint.
    Savepoint,
    /// Nobody knows whether a transaction is open.
    Transaction,
}

/// A transaction that is open.
#[derive(Debug)]
struct Group {
    id: u64,
    ended: watch::Sender<Option<Ended>>,
}

/// How it ended: durable, or why not.
type Ended = Result<(), Arc<sqlx::Error>>;

/// A turn in a shared transaction. Dropped without [`Turn::commit`] it leaves nothing behind.
pub(crate) struct Turn {
    state: Alone,
    ended: watch::Receiver<Option<Ended>>,
}

impl Writer {
    pub(crate) fn new(conn: SqliteConnection) -> Self {
        Self(Arc::new(Mutex::new(State { conn, group: None, n_groups: 0, left: Left::Nothing })))
    }

    /// The connection for one alone: what others share is committed first.
    pub(crate) async fn alone(&self) -> sqlx::Result<Alone> {
        let mut state = Arc::clone(&self.0).lock_owned().await;
        state.clear().await?;
        state.end().await;
        Ok(state)
    }

    /// A turn in a transaction that others may be in.
    pub(crate) async fn turn(&self) -> sqlx::Result<Turn> {
        let mut state = Arc::clone(&self.0).lock_owned().await;
        state.clear().await?;
        let ended = match &state.group {
            Some(group) => {
                let ended = group.ended.subscribe();
                state.left = Left::Savepoint;
                state.conn.execute(NEXT).await?;
                ended
            }
            None => state.begin(self).await?,
        };
        Ok(Turn { state, ended })
    }

    /// Closes the connection in good order, if nobody has it in hand.
    pub(crate) async fn close(self) -> sqlx::Result<()> {
        drop(self.alone().await?);
        match Arc::into_inner(self.0) {
            Some(state) => state.into_inner().conn.close().await,
            None => Ok(()),
        }
    }

    /// When everybody had a turn who waits now.
    async fn end_in_turn(self, id: u64) {
        let mut state = self.0.lock_owned().await;
        if state.group.as_ref().is_some_and(|group| group.id == id) && state.clear().await.is_ok() {
            state.end().await;
        }
    }
}

impl State {
    async fn begin(&mut self, writer: &Writer) -> sqlx::Result<watch::Receiver<Option<Ended>>> {
        self.left = Left::Transaction;
        self.conn.execute(sqlx::raw_sql(BEGIN)).await?;
        let (ended, told) = watch::channel(None);
        self.n_groups += 1;
        let id = self.n_groups;
        self.group = Some(Group { id, ended });
        self.left = Left::Savepoint;
        tokio::spawn(writer.clone().end_in_turn(id));
        Ok(told)
    }

    /// Clears away what somebody left who gave up.
    async fn clear(&mut self) -> sqlx::Result<()> {
        match self.left {
            Left::Nothing => return Ok(()),
            Left::Savepoint => {
                self.left = Left::Transaction;
                self.conn.execute(BACK).await?;
            }
            Left::Transaction => {
                // Whoever waits for the end of it hears that there is none.
                self.group = None;
                // It may be gone by itself.
                let _ = self.conn.execute("ROLLBACK").await;
            }
        }
        self.left = Left::Nothing;
        Ok(())
    }

    /// Commits for everybody who had a turn, and tells them.
    async fn end(&mut self) {
        let Some(group) = self.group.take() else { return };
        self.left = Left::Transaction;
        let ended = self.conn.execute("COMMIT").await;
        if ended.is_err() {
            let _ = self.conn.execute("ROLLBACK").await;
        }
        self.left = Left::Nothing;
        group.ended.send_replace(Some(ended.map(drop).map_err(Arc::new)));
    }
}

impl Turn {
    pub(crate) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.state.conn
    }

    /// Lets the next one in, and waits until everything is durable.
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        let Self { mut state, mut ended } = self;
        state.left = Left::Nothing;
        drop(state);
        let told = ended.wait_for(Option::is_some).await;
        let told = told.map(|told| told.clone());
        match told {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(error))) => Err(sqlx::Error::Io(io::Error::other(error))),
            Ok(None) | Err(_) => Err(sqlx::Error::Io(io::Error::other("the shared transaction was given up"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::sqlite;

    async fn opened() -> (tempfile::TempDir, Writer) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("x.db")).unwrap();
        let mut conn = sqlite::connect_writer(&dir.path().join("x.db")).await.unwrap();
        conn.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").await.unwrap();
        (dir, Writer::new(conn))
    }

    async fn insert(turn: &mut Turn, n: i64) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO t VALUES ($1)").bind(n).execute(turn.conn()).await.map(drop)
    }

    /// What another connection sees: what is committed.
    async fn committed(dir: &tempfile::TempDir) -> Vec<i64> {
        let mut conn = sqlite::connect_plain(&dir.path().join("x.db")).await.unwrap();
        sqlx::query_scalar("SELECT n FROM t ORDER BY n").fetch_all(&mut conn).await.unwrap()
    }

    #[tokio::test]
    async fn one_that_fails_or_gives_up_takes_nobody_with_it() {
        let (dir, writer) = opened().await;
        let mut first = writer.turn().await.unwrap();
        insert(&mut first, 1).await.unwrap();
        let others = futures::future::join_all((2..40).map(|n| {
            let writer = writer.clone();
            async move {
                let mut turn = writer.turn().await?;
                insert(&mut turn, n).await?;
                match n % 3 {
                    // Dropped with what it wrote.
                    0 => Ok(()),
                    // The row is there: it fails, and is dropped.
                    1 => insert(&mut turn, 1).await,
                    _ => turn.commit().await,
                }
            }
        }));
        let (first, others) = tokio::join!(first.commit(), others);
        first.unwrap();
        for (n, done) in (2..40).zip(others) {
            assert_eq!(done.is_err(), n % 3 == 1, "{n}");
        }
        let expected: Vec<i64> = (1..40).filter(|n| *n == 1 || n % 3 == 2).collect();
        assert_eq!(committed(&dir).await, expected);
    }

    #[tokio::test]
    async fn who_commits_is_told_when_it_is_durable_and_many_share_that() {
        let (dir, writer) = opened().await;
        let all = futures::future::join_all((1..=32).map(|n| {
            let (writer, dir) = (writer.clone(), &dir);
            async move {
                let mut turn = writer.turn().await.unwrap();
                insert(&mut turn, n).await.unwrap();
                turn.commit().await.unwrap();
                assert!(committed(dir).await.contains(&n));
            }
        }));
        all.await;
        let n = writer.alone().await.unwrap().n_groups;
        assert!(n < 16, "{n} transactions for 32 at once");
    }

    #[tokio::test]
    async fn one_alone_has_the_connection_to_itself_after_what_was_shared_is_durable() {
        let (dir, writer) = opened().await;
        let mut turn = writer.turn().await.unwrap();
        insert(&mut turn, 1).await.unwrap();
        let (committed_first, mut alone) = tokio::join!(turn.commit(), writer.alone());
        committed_first.unwrap();
        assert_eq!(committed(&dir).await, [1]);
        let state = alone.as_mut().unwrap();
        let mut tx = state.conn.begin_with(sqlite::BEGIN_WRITE).await.unwrap();
        sqlx::query("INSERT INTO t VALUES (2)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        drop(alone);
        // One who gives up before anybody else came leaves an empty transaction, which ends too.
        drop(writer.turn().await.unwrap());
        drop(writer.alone().await.unwrap());
        assert_eq!(committed(&dir).await, [1, 2]);
        writer.close().await.unwrap();
    }
}
