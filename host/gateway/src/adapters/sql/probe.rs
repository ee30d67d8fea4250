//! Whether a target answers and is prepared: what `doctor` asks.

use super::connection::{Connection, Role};
use super::engine::Engine;
use super::install;
use crate::error::Result;
use crate::target::Target;

/// What a target says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What `database init` wrote.
    pub identity: String,
    /// Its clock, in microseconds since 1970; absent where it is this machine's own.
    pub clock_us: Option<i64>,
}

/// Connects as a run that writes would, and as one that reads.
///
/// # Errors
/// It does not answer, could lose what it commits, or was not prepared.
pub async fn probe(target: &Target) -> Result<Probe> {
    let mut connection = Connection::open(target, Role::Write).await?;
    let found = look(&mut connection, target).await;
    connection.close().await;
    let found = found?;
    if target.read_url.is_some() {
        Connection::open(target, Role::Read).await?.close().await;
    }
    Ok(found)
}

async fn look(connection: &mut Connection, target: &Target) -> Result<Probe> {
    install::safety(connection, target).await?;
    let identity = install::identity(connection, target).await?.identity;
    let clock_us = match target.engine {
        Engine::Sqlite => None,
        Engine::Postgres => {
            let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text";
            connection.one(sql, vec![]).await?.text().and_then(|text| text.parse().ok())
        }
    };
    Ok(Probe { identity, clock_us })
}
