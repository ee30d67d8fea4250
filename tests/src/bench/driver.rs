//! The same writes as a small repair's, by the driver alone: what a repair is held against.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use mendwright_gateway::Engine;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use tokio::sync::Mutex;

use super::repairs::{House, Took, now, rows, sqlite};

/// The driver alone: each row locked, its before-image taken, written where it still is as it was.
pub struct Raw {
    writer: Writer,
    first: usize,
    next: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Writer {
    Sqlite(Arc<Mutex<SqliteConnection>>),
    Postgres(PgPool),
}

impl Raw {
    /// On the host's target, in tenants of its own.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn new(house: &House) -> Result<Self> {
        let writer = match &house.server {
            None => Writer::Sqlite(Arc::new(Mutex::new(sqlite(&house.directory.path().join("target.db")).await?))),
            Some(server) => Writer::Postgres(
                PgPoolOptions::new()
                    .max_connections(u32::try_from(house.tenants)?)
                    .test_before_acquire(false)
                    .connect(&server.target.url)
                    .await?,
            ),
        };
        debug_assert_eq!(house.engine == Engine::Sqlite, matches!(writer, Writer::Sqlite(_)));
        Ok(Self { writer, first: house.tenants, next: Arc::new(AtomicU64::new(1)) })
    }

    /// Closes its connections, so that what they did is counted as theirs.
    pub async fn close(self) {
        if let Writer::Postgres(pool) = &self.writer {
            pool.close().await;
        }
    }

    /// So many at once make one job of three writes after the other.
    ///
    /// # Errors
    /// One finds its rows changed.
    pub async fn run(&self, clients: usize, lasts: Duration) -> Result<Took> {
        let (start, mut tasks) = (now(), Vec::new());
        for tenant in self.first..self.first + clients {
            let (writer, next) = (self.writer.clone(), Arc::clone(&self.next));
            tasks.push(tokio::spawn(async move {
                let mut each = Vec::new();
                while start.elapsed() < lasts {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let asked = now();
                    writer.write(tenant, n).await?;
                    each.push(asked.elapsed());
                }
                Ok::<_, anyhow::Error>(each)
            }));
        }
        let mut each = Vec::new();
        for task in tasks {
            each.extend(task.await??);
        }
        Ok(Took::new(each, start.elapsed()))
    }
}

const LOOK: &str = "SELECT CAST(total AS TEXT) FROM account WHERE id = $1 AND tenant = $2";

impl Writer {
    async fn write(&self, tenant: usize, n: u64) -> Result<()> {
        let (name, value) = (format!("t{tenant}"), format!("{n}.75"));
        match self {
            Self::Sqlite(writer) => {
                let mut conn = writer.lock().await;
                let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
                for id in rows(tenant, n).map(|id| i64::try_from(id).unwrap_or(0)) {
                    let before: String =
                        sqlx::query(LOOK).bind(id).bind(&name).fetch_one(&mut *tx).await?.try_get(0)?;
                    let sql = "UPDATE account SET total = CAST($1 AS NUMERIC) WHERE id = $2 AND tenant = $3 AND CAST(total AS TEXT) = $4";
                    let done =
                        sqlx::query(sql).bind(&value).bind(id).bind(&name).bind(before).execute(&mut *tx).await?;
                    ensure!(done.rows_affected() == 1, "a row changed meanwhile");
                }
                tx.commit().await?;
            }
            Self::Postgres(pool) => {
                let mut tx = pool.begin().await?;
                for id in rows(tenant, n).map(|id| i32::try_from(id).unwrap_or(0)) {
                    let sql = "SELECT total::text FROM account WHERE id = $1 AND tenant = $2 FOR UPDATE";
                    let before: String = sqlx::query(sql).bind(id).bind(&name).fetch_one(&mut *tx).await?.try_get(0)?;
                    let sql = "UPDATE account SET total = $1::text::numeric WHERE id = $2 AND tenant = $3 AND total::text = $4";
                    let done =
                        sqlx::query(sql).bind(&value).bind(id).bind(&name).bind(before).execute(&mut *tx).await?;
                    ensure!(done.rows_affected() == 1, "a row changed meanwhile");
                }
                tx.commit().await?;
            }
        }
        Ok(())
    }
}
