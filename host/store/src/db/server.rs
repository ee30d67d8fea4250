//! A connection to a server that may fall silent: a network that swallows packets says nothing to whoever waits
//! for an answer, and the server's own limits are of no use there. What is asked of it has a bound on this side
//! too.

use std::future::Future;
use std::io;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Executor as _, Postgres};
use tokio::time::timeout;

/// What the server is told that a statement may take. Ours write a page of a plan or a thousand entries of the
/// log at most, in well under a second, after ten seconds for a lock at most.
pub(crate) const STATEMENT_MAX: Duration = Duration::from_secs(30);

/// How much longer an answer is waited for: the way there and back, and a server that is slow to end it.
const MARGIN: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = STATEMENT_MAX.saturating_add(MARGIN);

/// How long one waits that asks only whether somebody is there.
const PING_MAX: Duration = Duration::from_secs(3);

/// A connection of the pool's. One whose answer nobody waited for to its end is closed, not given back: what
/// comes of it would be taken for the answer to the next question.
pub(crate) struct Server {
    /// Until it is given back.
    connection: Option<PoolConnection<Postgres>>,
    /// Something was asked, and its answer has not come.
    is_asked: bool,
    transaction: Transaction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transaction {
    None,
    /// Perhaps: its beginning or its end was not answered well.
    Open,
    /// Nobody wants it any more.
    GivenUp,
}

impl Server {
    pub(crate) async fn of(pool: &PgPool) -> sqlx::Result<Self> {
        Ok(Self { connection: Some(pool.acquire().await?), is_asked: false, transaction: Transaction::None })
    }

    pub(crate) async fn begin(&mut self, sql: &'static str) -> sqlx::Result<()> {
        self.end_given_up().await?;
        self.transaction = Transaction::Open;
        let begun = self.ask(|connection| connection.execute(sql)).await;
        if begun.is_err() {
            self.give_up();
        }
        begun.map(drop)
    }

    /// Returns when it is durable. Where no answer came it may be, or become so: nobody knows.
    pub(crate) async fn commit(&mut self) -> sqlx::Result<()> {
        let committed = self.ask(|connection| connection.execute("COMMIT")).await;
        if self.is_asked {
            return Err(timed_out("the server did not say whether it committed"));
        }
        committed?;
        self.transaction = Transaction::None;
        Ok(())
    }

    /// What is not committed is rolled back before anything else is asked.
    fn give_up(&mut self) {
        if self.transaction == Transaction::Open {
            self.transaction = Transaction::GivenUp;
        }
    }

    async fn end_given_up(&mut self) -> sqlx::Result<()> {
        if self.transaction == Transaction::GivenUp {
            self.ask(|connection| connection.execute("ROLLBACK")).await?;
            self.transaction = Transaction::None;
        }
        Ok(())
    }

    /// Waits for an answer, and not for ever. Whoever was not answered once asks nothing more.
    pub(crate) async fn answer<'c, T, F>(&'c mut self, ask: impl FnOnce(&'c mut PgConnection) -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        self.end_given_up().await?;
        self.ask(ask).await
    }

    async fn ask<'c, T, F>(&'c mut self, ask: impl FnOnce(&'c mut PgConnection) -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let Self { connection, is_asked, .. } = self;
        let connection = connection.as_mut().filter(|_| !*is_asked).ok_or_else(silent)?;
        *is_asked = true;
        let answer = timeout(ANSWER_MAX, ask(connection)).await.map_err(|_| silent())?;
        *is_asked = false;
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        // Within five seconds, whether or not anybody hears its goodbye; unless it is given back before.
        connection.close_on_drop();
        if self.is_asked {
            return;
        }
        let rolls_back = self.transaction != Transaction::None;
        let give_back = async move {
            if !rolls_back || connection.execute("ROLLBACK").await.is_ok() {
                connection.return_to_pool().await;
            }
        };
        // What sqlx does by itself waits without a bound.
        tokio::spawn(timeout(PING_MAX, give_back));
    }
}

/// A transaction; rolled back unless it is committed.
pub(crate) struct Open<'c>(pub(crate) &'c mut Server);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Whether a server is there that was not asked for a while.
pub(crate) async fn ping<T>(asked: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    timeout(PING_MAX, asked).await.unwrap_or_else(|_| Err(silent()))
}

fn silent() -> sqlx::Error {
    timed_out("the server did not answer")
}

fn timed_out(text: &'static str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}
