//! One small driver over both engines. SQL is written once, in the subset that they share: parameters
//! `$1`, `$2` …, whole numbers and texts, JSON as text, times in microseconds. What truly differs stands
//! in `sqlite`, `postgres` and `dialect`.

pub(crate) mod dialect;
pub(crate) mod group;
pub(crate) mod postgres;
pub(crate) mod query;
pub(crate) mod server;
pub(crate) mod sqlite;

use std::fmt;
use std::path::{Path, PathBuf};

use mendwright_sqlite::File;
use sqlx::postgres::PgPool;

use group::{Alone, Turn, Writer};
use server::{Open, Server};
use sqlite::{Reader, Readers, fault};

pub(crate) use query::{Param, Query, Row, insert, query, together};

use crate::error::Error;

/// Which engine a control store is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// One file, one host.
    Sqlite,
    /// Any number of hosts.
    Postgres,
}

/// Where a control store is, as errors name it. Never a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A database of a server: `postgres://host:5432/name`.
    Server(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => f.write_str(server),
        }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

/// The open connections of a store.
#[derive(Debug)]
pub(crate) enum Database {
    /// One connection that writes, several that cannot.
    Sqlite {
        /// Whoever holds it is the only one who writes, in this process.
        writer: Writer,
        /// Read only.
        readers: Readers,
    },
    /// All do both.
    Postgres(PgPool),
}

impl Database {
    pub(crate) const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite { .. } => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// The connection for a write transaction.
    pub(crate) async fn writer(&self) -> sqlx::Result<Held> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Held::Writer(writer.alone().await),
            Self::Postgres(pool) => Held::Postgres(Server::of(pool).await?),
        })
    }

    /// A write transaction that is small: on SQLite others may be in it too.
    pub(crate) async fn shared(&self) -> sqlx::Result<Shared> {
        self.shared_with(postgres::BEGIN_WRITE).await
    }

    /// The same, with the switches held as they are: see [`crate::switches::hold`].
    pub(crate) async fn shared_deciding(&self) -> sqlx::Result<Shared> {
        self.shared_with(postgres::BEGIN_DECIDING).await
    }

    async fn shared_with(&self, postgres: &'static str) -> sqlx::Result<Shared> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Shared::Sqlite(writer.turn().await?),
            Self::Postgres(pool) => {
                let mut server = Server::of(pool).await?;
                server.begin(postgres).await?;
                Shared::Postgres(server)
            }
        })
    }

    /// A connection for reading.
    pub(crate) async fn reader(&self) -> sqlx::Result<Held> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Held::Reader(Box::new(readers.acquire().await?)),
            Self::Postgres(pool) => Held::Postgres(Server::of(pool).await?),
        })
    }

    pub(crate) async fn close(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await?;
                writer.close().await
            }
            Self::Postgres(pool) => {
                postgres::close(&pool).await;
                Ok(())
            }
        }
    }
}

/// A connection that the caller has until it is dropped.
pub(crate) enum Held {
    Writer(Alone),
    Reader(Box<Reader>),
    Postgres(Server),
}

impl Held {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Writer(alone) => Conn::Sqlite(&mut alone.file),
            Self::Reader(reader) => Conn::Sqlite(reader.file()),
            Self::Postgres(server) => Conn::Postgres(server),
        }
    }

    /// A transaction that writes. Rolled back unless it is committed.
    ///
    /// SQLite takes the write lock at its start: one that begins as a reader and then writes would fail at
    /// once where it should wait. PostgreSQL reads what is committed, statement by statement: whoever
    /// decides by what it read locks the rows.
    pub(crate) async fn begin(&mut self) -> sqlx::Result<Tx<'_>> {
        self.begin_with(sqlite::BEGIN_WRITE, postgres::BEGIN_WRITE).await
    }

    /// One snapshot for several reads.
    pub(crate) async fn begin_read(&mut self) -> sqlx::Result<Tx<'_>> {
        self.begin_with(sqlite::BEGIN_READ, postgres::BEGIN_READ).await
    }

    async fn begin_with(&mut self, sqlite: &'static str, postgres: &'static str) -> sqlx::Result<Tx<'_>> {
        Ok(match self {
            Self::Writer(alone) => Tx::Sqlite(OpenFile::begin(&mut alone.file, sqlite).await?),
            Self::Reader(reader) => Tx::Sqlite(OpenFile::begin(reader.file(), sqlite).await?),
            Self::Postgres(server) => {
                server.begin(postgres).await?;
                Tx::Postgres(Open(server))
            }
        })
    }
}

/// An open transaction.
pub(crate) enum Tx<'c> {
    Sqlite(OpenFile<'c>),
    Postgres(Open<'c>),
}

/// An open transaction of SQLite.
pub(crate) struct OpenFile<'c>(&'c mut File);

impl<'c> OpenFile<'c> {
    async fn begin(file: &'c mut File, begin: &str) -> sqlx::Result<Self> {
        file.batch(begin).await.map_err(fault)?;
        Ok(Self(file))
    }
}

impl Drop for OpenFile<'_> {
    fn drop(&mut self) {
        self.0.roll_back();
    }
}

impl Tx<'_> {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(tx) => Conn::Sqlite(tx.0),
            Self::Postgres(open) => Conn::Postgres(open.0),
        }
    }

    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.0.commit().await.map_err(fault),
            Self::Postgres(open) => open.0.commit().await,
        }
    }
}

/// A transaction that several may share. Rolled back, and nobody else's part of it, unless it is committed.
pub(crate) enum Shared {
    Sqlite(Turn),
    Postgres(Server),
}

impl Shared {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(turn) => Conn::Sqlite(turn.file()),
            Self::Postgres(server) => Conn::Postgres(server),
        }
    }

    /// Returns when it is durable.
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(turn) => turn.commit().await,
            Self::Postgres(mut server) => server.commit().await,
        }
    }
}

/// A borrowed connection, inside a transaction or not.
pub(crate) enum Conn<'c> {
    Sqlite(&'c mut File),
    Postgres(&'c mut Server),
}

impl Conn<'_> {
    pub(crate) fn reborrow(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(conn) => Conn::Sqlite(conn),
            Self::Postgres(server) => Conn::Postgres(server),
        }
    }

    pub(crate) const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }
}

/// What an error of the driver means for the caller. What has no better name is a store that cannot be
/// used for now: busy, full, read-only, an I/O error, a lost connection.
pub(crate) fn failure(place: &Place, action: &'static str, error: sqlx::Error) -> Error {
    if let sqlx::Error::ColumnDecode { index, source } = &error {
        return Error::corrupt("(query)", index.trim_matches('"'), action, source);
    }
    let kind = match place {
        Place::File(_) => sqlite::kind(&error),
        Place::Server(_) => postgres::kind(&error),
    };
    match kind {
        Some(dialect::Failure::Damaged) => Error::Damaged { place: place.clone(), action, source: error.into() },
        Some(dialect::Failure::Rule) => {
            Error::Bug(format!("{action} would break a rule of the control store: {error}"))
        }
        None => Error::Unavailable { place: place.clone(), action, source: error.into() },
    }
}
