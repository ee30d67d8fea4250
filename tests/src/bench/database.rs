//! A database of a bench's own, on either engine.

use std::path::Path;

use anyhow::Result;
use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use mendwright_core::id::Id;
use mendwright_gateway::{Engine, Init, Target, init};

use crate::chinook::connect_sqlite;
use crate::postgres::{self, Cluster, Durability};

/// An empty database that goes when this is dropped.
pub struct Database {
    /// Where it is, as the database `bench` of a configuration.
    pub target: Target,
    /// `sqlite:…` or `postgres:…`.
    pub url: String,
    place: Place,
}

enum Place {
    Sqlite(tempfile::TempDir),
    Postgres { _cluster: Cluster, database: postgres::Database },
}

impl Database {
    /// Makes one.
    ///
    /// # Errors
    /// There is no PostgreSQL, or no disk.
    pub async fn new(engine: Engine) -> Result<Self> {
        let (url, place) = match engine {
            Engine::Sqlite => {
                let directory = tempfile::tempdir()?;
                let path = directory.path().join("bench.db");
                std::fs::File::create(&path)?;
                (format!("sqlite:{}", path.display()), Place::Sqlite(directory))
            }
            Engine::Postgres => {
                let cluster = Cluster::start(Durability::Full)?;
                let database = cluster.empty_database("bench").await?;
                (database.url.clone(), Place::Postgres { _cluster: cluster, database })
            }
        };
        let database = Self { target: Target::new("bench", &url)?, url, place };
        if engine == Engine::Sqlite {
            database.sql("PRAGMA journal_mode = WAL").await?;
        }
        Ok(database)
    }

    /// The directory of a SQLite file.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite(directory) => Some(directory.path()),
            Place::Postgres { .. } => None,
        }
    }

    /// Makes it a target of Mendwright's.
    ///
    /// # Errors
    /// What the gateway says.
    pub async fn init(&self) -> Result<()> {
        let identity = Id::from_time(1, [7; 10]);
        init(&self.target, &Init { switch_to_wal: false, identity, role: None, tables: Vec::new() }).await?;
        Ok(())
    }

    /// Runs statements as an application would, as durable as the gateway's own.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sql(&self, sql: &str) -> Result<()> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.place {
            Place::Sqlite(directory) => {
                let mut connection = connect_sqlite(&directory.path().join("bench.db")).await?;
                sqlx::raw_sql("PRAGMA synchronous = FULL").execute(&mut connection).await?;
                sqlx::raw_sql(sql).execute(&mut connection).await?;
                connection.close().await?;
            }
            Place::Postgres { database, .. } => {
                let mut connection = database.connect().await?;
                sqlx::raw_sql(sql).execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }

    /// Reads every row of these queries with the driver alone, each value as it comes.
    ///
    /// # Errors
    /// What the database says.
    pub async fn read(&self, queries: &[&str]) -> Result<usize> {
        let mut rows = 0;
        match &self.place {
            Place::Sqlite(directory) => {
                let mut connection = connect_sqlite(&directory.path().join("bench.db")).await?;
                for sql in queries {
                    let mut stream = sqlx::query(AssertSqlSafe((*sql).to_owned())).fetch(&mut connection);
                    while let Some(row) = stream.try_next().await? {
                        (0..row.len()).try_for_each(|at| row.try_get_raw(at).map(drop))?;
                        rows += 1;
                    }
                }
                connection.close().await?;
            }
            Place::Postgres { database, .. } => {
                let mut connection = database.connect().await?;
                for sql in queries {
                    let mut stream = sqlx::query(AssertSqlSafe((*sql).to_owned())).fetch(&mut connection);
                    while let Some(row) = stream.try_next().await? {
                        (0..row.len()).try_for_each(|at| row.try_get_raw(at).map(drop))?;
                        rows += 1;
                    }
                }
                connection.close().await?;
            }
        }
        Ok(rows)
    }
}

/// `WITH s(n) AS (…)`: the numbers from 1 to `rows`.
pub(super) fn series(engine: Engine, rows: usize) -> String {
    match engine {
        Engine::Sqlite => {
            format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) ")
        }
        Engine::Postgres => format!("WITH s(n) AS (SELECT generate_series(1, {rows})) "),
    }
}
