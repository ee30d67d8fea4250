//! A connection to a server that may fall silent: a network that swallows packets says nothing to whoever waits
//! for an answer, and the server's own limits are of no use there.

use std::future::Future;
use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::timeout;

use super::connection::Role;

/// How much longer than a statement may take its answer is waited for: the way there and back, and a server
/// that is slow to end it.
const MARGIN: Duration = Duration::from_secs(5);

/// How long the server may take to let one in, and to say goodbye.
const HELLO: Duration = Duration::from_secs(10);

/// How PostgreSQL may join a list of wanted keys with their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joins {
    /// As it likes.
    Any,
    /// By the index, until a statement comes that may join otherwise.
    ByKeyNow,
    /// By the index, always: on a connection that writes nothing else is joined.
    ByKey,
}

impl Joins {
    pub(super) const fn of(role: Role) -> Self {
        match role {
            Role::Read => Self::Any,
            Role::Write => Self::ByKey,
        }
    }
}

/// A connection, how long its statements may take, and what is known of its session.
pub(crate) struct Server {
    connection: PgConnection,
    limit: Duration,
    is_silent: bool,
    pub(super) joins: Joins,
    /// The database's name and the server's identifier: neither changes while it is open.
    pub(super) system: Option<[String; 2]>,
    /// The number of its process and when that began.
    pub(super) backend: Option<[String; 2]>,
    /// Whether our tables were seen.
    pub(super) is_prepared: bool,
}

impl Server {
    pub(crate) async fn connect(options: &PgConnectOptions, limit: Duration, role: Role) -> sqlx::Result<Self> {
        let connection = timeout(HELLO, options.connect()).await.unwrap_or_else(|_| Err(silent()))?;
        Ok(Self {
            connection,
            limit,
            is_silent: false,
            joins: Joins::of(role),
            system: None,
            backend: None,
            is_prepared: false,
        })
    }

    /// What the server was told that a statement may take.
    pub(crate) const fn limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// What it was told last.
    pub(crate) const fn limited_to(&self) -> Duration {
        self.limit
    }

    /// Waits for an answer of this connection's, and not for ever. One that did not come would be taken for
    /// the answer to the next question: whoever was not answered once asks nothing more.
    pub(crate) async fn answer<'c, T, F>(&'c mut self, ask: impl FnOnce(&'c mut PgConnection) -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        if self.is_silent {
            return Err(silent());
        }
        timeout(self.limit + MARGIN, ask(&mut self.connection)).await.unwrap_or_else(|_| {
            self.is_silent = true;
            Err(silent())
        })
    }

    pub(crate) async fn close(self) -> sqlx::Result<()> {
        if self.is_silent {
            return Ok(());
        }
        timeout(HELLO, self.connection.close()).await.unwrap_or(Ok(()))
    }
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the server did not answer"))
}
