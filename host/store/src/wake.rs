//! Telling other hosts that there is something to do. Hosts of one file find it when they look; those of a
//! server are told. A message that is lost costs one pause between two looks, nothing else.

use sqlx::postgres::PgListener;

use crate::db::{Database, query};
use crate::error::{Error, Result};
use crate::store::Store;

/// What hosts listen to. The database's name is part of it already.
const CHANNEL: &str = "mendwright_control_wake";

/// Hears of work that other hosts were given.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Returns when somebody says that there is work. The connection is made again where it was lost, which
    /// counts as having heard something: what was said meanwhile is not known.
    ///
    /// # Errors
    /// The server does not answer; call again after a pause.
    pub async fn heard(&mut self) -> std::result::Result<(), sqlx::Error> {
        self.0.try_recv().await.map(drop)
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
        let mut listener = PgListener::connect_with(pool).await.map_err(failed)?;
        listener.listen(CHANNEL).await.map_err(failed)?;
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
