//! SQLite: the one connection that writes, and transactions that share a commit. What a small transaction
//! costs is the disk's answer to COMMIT; it is waited for once for all that are ready.
//!
//! Each takes its turn in the order of arrival. The first one begins the transaction and calls for its end, and
//! stands in line for that like any other: whoever waited meanwhile had a turn by then, inside a savepoint of its
//! own. One that fails is rolled back and takes nobody with it.

use std::io;
use std::sync::Arc;

use mendwright_sqlite::File;
use mendwright_sqlite::rusqlite;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::sqlite::{BEGIN_WRITE, fault};

/// The writing connection; its clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Arc<Mutex<State>>);

/// The writing connection in the hands of one, who has it until this is dropped.
pub(crate) type Alone = OwnedMutexGuard<State>;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) file: File,
    group: Option<Group>,
    /// Shared transactions so far.
    n_groups: u64,
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
    wrote: Wrote,
}

/// What is to be taken back where a turn is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrote {
    /// Nothing: somebody answers for it.
    Nothing,
    /// What one wrote since its savepoint.
    Savepoint,
    /// The whole transaction: nobody else has been in it.
    Transaction,
}

impl Writer {
    pub(crate) fn new(file: File) -> Self {
        Self(Arc::new(Mutex::new(State { file, group: None, n_groups: 0 })))
    }

    /// The connection for one alone: what others share is committed first.
    pub(crate) async fn alone(&self) -> Alone {
        let mut state = Arc::clone(&self.0).lock_owned().await;
        state.end().await;
        state
    }

    /// A turn in a transaction that others may be in.
    pub(crate) async fn turn(&self) -> sqlx::Result<Turn> {
        let mut state = Arc::clone(&self.0).lock_owned().await;
        let (ended, wrote) = match &state.group {
            Some(group) => {
                let ended = group.ended.subscribe();
                state.file.batch("SAVEPOINT mendwright").await.map_err(fault)?;
                (ended, Wrote::Savepoint)
            }
            // Of the first one the transaction itself is the savepoint: SQLite keeps no second copy of what is
            // written in it.
            None => (state.begin(self).await?, Wrote::Transaction),
        };
        Ok(Turn { state, ended, wrote })
    }

    /// Closes the connection in good order, if nobody has it in hand.
    pub(crate) async fn close(self) -> sqlx::Result<()> {
        drop(self.alone().await);
        match Arc::into_inner(self.0) {
            Some(state) => state.into_inner().file.close().await.map_err(fault),
            None => Ok(()),
        }
    }

    /// When everybody had a turn who waits now.
    async fn end_in_turn(self, id: u64) {
        let mut state = self.0.lock_owned().await;
        if state.group.as_ref().is_some_and(|group| group.id == id) {
            state.end().await;
        }
    }
}

impl State {
    async fn begin(&mut self, writer: &Writer) -> sqlx::Result<watch::Receiver<Option<Ended>>> {
        // There may be one that somebody gave up.
        self.file.roll_back();
        self.file.batch(BEGIN_WRITE).await.map_err(fault)?;
        let (ended, told) = watch::channel(None);
        self.n_groups += 1;
        let id = self.n_groups;
        self.group = Some(Group { id, ended });
        tokio::spawn(writer.clone().end_in_turn(id));
        Ok(told)
    }

    /// Commits for everybody who had a turn, and tells them. Given up meanwhile, it tells them that there is no
    /// end.
    async fn end(&mut self) {
        let Some(group) = self.group.take() else {
            self.file.roll_back();
            return;
        };
        let ended = self.file.commit().await.map_err(fault);
        if ended.is_err() {
            self.file.roll_back();
        }
        group.ended.send_replace(Some(ended.map_err(Arc::new)));
    }

    fn at_once(&self, sql: &str) -> rusqlite::Result<()> {
        self.file.with(1, |db| db.execute_batch(sql))
    }
}

impl Turn {
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.state.file
    }

    /// Lets the next one in, and waits until everything is durable.
    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        if self.wrote == Wrote::Savepoint {
            self.state.at_once("RELEASE mendwright").map_err(fault)?;
        }
        self.wrote = Wrote::Nothing;
        let mut ended = self.ended.clone();
        drop(self);
        let told = ended.wait_for(Option::is_some).await;
        let told = told.map(|told| told.clone());
        match told {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(error))) => Err(sqlx::Error::Io(io::Error::other(error))),
            Ok(None) | Err(_) => Err(sqlx::Error::Io(io::Error::other("the shared transaction was given up"))),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let taken_back = match self.wrote {
            Wrote::Nothing => true,
            Wrote::Savepoint => self.state.at_once("ROLLBACK TO mendwright; RELEASE mendwright").is_ok(),
            Wrote::Transaction => false,
        };
        if !taken_back {
            // Whoever else was in it hears that there is no end of it.
            self.state.group = None;
            self.state.file.roll_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mendwright_sqlite::Access;

    use crate::db::sqlite;

    async fn opened() -> (tempfile::TempDir, Writer) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("x.db")).unwrap();
        let mut file = sqlite::connect_writer(&dir.path().join("x.db")).await.unwrap();
        file.batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").await.unwrap();
        (dir, Writer::new(file))
    }

    async fn insert(turn: &mut Turn, n: i64) -> sqlx::Result<()> {
        turn.file().execute("INSERT INTO t VALUES (?1)", &[n]).await.map(drop).map_err(fault)
    }

    /// What another connection sees: what is committed.
    async fn committed(dir: &tempfile::TempDir) -> Vec<i64> {
        let mut file = sqlite::connect(&dir.path().join("x.db"), Access::Read).await.unwrap();
        file.rows("SELECT n FROM t ORDER BY n", &[] as &[i64], |row| row.get(0)).await.unwrap()
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
        let n = writer.alone().await.n_groups;
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
        alone.file.batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").await.unwrap();
        alone.file.commit().await.unwrap();
        drop(alone);
        // One who gives up before anybody else came leaves an empty transaction, which ends too.
        drop(writer.turn().await.unwrap());
        drop(writer.alone().await);
        assert_eq!(committed(&dir).await, [1, 2]);
        writer.close().await.unwrap();
    }
}
