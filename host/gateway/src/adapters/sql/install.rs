//! Our own tables in a target, and whether the target is one that can be trusted with a commit.

use mendwright_core::code::Code;

use super::connection::Connection;
use super::engine::Engine;
use super::flush::journal::own_table;
use crate::error::{Error, Result};
use crate::target::Target;

/// Which database it is, wherever it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetIdentity {
    /// Written by `database init`.
    pub(crate) identity: String,
    /// The database's own name, or the file's.
    pub(crate) name: String,
    /// PostgreSQL's system identifier; empty for SQLite.
    pub(crate) system: String,
}

/// Reads what `database init` wrote.
pub(crate) async fn identity(connection: &mut Connection, target: &Target) -> Result<TargetIdentity> {
    let sql = format!("SELECT value FROM {} WHERE key = 'identity'", own_table(target, "meta"));
    let missing = || {
        Error::refused(
            Code::TargetUninitialized,
            format!("database `{}` has not been prepared: mendwright database init {}", target.name, target.name),
        )
    };
    let found = match connection.one(&sql, vec![]).await {
        Ok(raw) => raw,
        Err(Error::Unavailable { code: Code::TargetUnavailable, message, source }) => {
            return Err(Error::Unavailable { code: Code::TargetUnavailable, message, source });
        }
        Err(_) => return Err(missing()),
    };
    let identity = found.text().ok_or_else(missing)?.to_owned();
    Ok(TargetIdentity { identity, name: String::new(), system: String::new() })
}

/// Refuses a target that could lose what it committed.
pub(crate) async fn safety(connection: &mut Connection, target: &Target) -> Result<()> {
    if target.engine == Engine::Postgres {
        for setting in ["fsync", "full_page_writes"] {
            let value = connection.one(&format!("SHOW {setting}"), vec![]).await?;
            if value.text() != Some("on") {
                return Err(Error::refused(
                    Code::TargetUnsafe,
                    format!("database `{}` runs with {setting} = off and could lose a commit", target.name),
                ));
            }
        }
    }
    Ok(())
}
