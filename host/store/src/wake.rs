//! Telling other hosts that there is something to do. Hosts of one file find it when they look; those of a
//! server are told. A message that is lost costs one pause between two looks, nothing else.

use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use crate::db::server::ping;
use crate::db::{Database, postgres, query};
use crate::error::{Error, Result};
use crate::store::Store;

/// What hosts listen to. The database's name is part of it already.
const CHANNEL: &str = "mendwright_control_wake";

/// How long nothing is heard before the server is asked whether it is still there.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// Hears of work that other hosts were given.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Returns when somebody says that there is work. The connection is made again where it was lost, which
    /// counts as having heard something: what was said meanwhile is not known.
    ///
    /// # Errors
    /// The server does not answer; listen again after a pause.
    pub async fn heard(&mut self) -> std::result::Result<(), sqlx::Error> {
        loop {
            match timeout(QUIET_MAX, self.0.try_recv()).await {
                Ok(heard) => return heard.map(drop),
                Err(_) => ping(self.0.execute("SELECT 1")).await.map(drop)?,
            }
        }
    }
}

impl Store {
    /// Listens for work that other hosts were given; `None` beside a file.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn listen(&self) -> Result<Option<Listener>> {
        let Database::Postgres(pool) = &self.database else { return Ok(None) };
        let failed = self.failed("listening for work");
        let mut listener = PgListener::connect_with(&postgres::listening(pool)).await.map_err(failed)?;
        ping(listener.listen(CHANNEL)).await.map_err(failed)?;
        Ok(Some(Listener(listener)))
    }

    /// Tells the other hosts that there is work; nothing beside a file. Outside of any transaction that
    /// writes: at commit `NOTIFY` takes a lock of the whole server. Whoever has much to tell says it once.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn wake(&self) -> Result<()> {
        if matches!(self.database, Database::Sqlite { .. }) {
            return Ok(());
        }
        let failed = self.failed("telling other hosts of work");
        let mut writer = self.writer().await?;
        query("SELECT pg_notify($1, '')").bind(CHANNEL).optional(writer.conn()).await.map_err(failed)?;
        Ok::<(), Error>(())
    }
}
