//! The audit log's first step: an entry is written in the transaction of the fact that it tells of, and
//! has no place in the log yet. The sequencer gives it one.

use std::collections::BTreeMap;

use crate::db::{Conn, query};
use crate::error::{Error, Result};
use crate::run::RunNumber;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Fact {
    at_us: i64,
    kind: &'static str,
    run: Option<RunNumber>,
    tenant: Option<String>,
    actor: String,
    body: BTreeMap<&'static str, String>,
    once: Option<String>,
}

impl Fact {
    /// A fact of this kind, by `actor` (`person:alice`, `host:a`, …).
    #[must_use]
    pub fn new(kind: &'static str, actor: &str, at_us: i64) -> Self {
        let body = BTreeMap::new();
        Self { at_us, kind, run: None, tenant: None, actor: actor.to_owned(), body, once: None }
    }

    /// It is about this run.
    #[must_use]
    pub const fn run(mut self, run: RunNumber) -> Self {
        self.run = Some(run);
        self
    }

    /// It is about this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// One more thing to say of it. Never a value of a tenant's row.
    #[must_use]
    pub fn say(mut self, what: &'static str, text: impl ToString) -> Self {
        self.body.insert(what, text.to_string());
        self
    }

    /// It is told once, however often it is delivered; told again it counts up.
    #[must_use]
    pub fn once(mut self, key: String) -> Self {
        self.once = Some(key);
        self
    }
}

/// Writes a fact down, inside the caller's transaction.
pub(crate) async fn record(conn: Conn<'_>, fact: Fact, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<()> {
    let Fact { at_us, kind, run, tenant, actor, body, once } = fact;
    let body = serde_json::to_string(&body).map_err(|e| Error::Bug(e.to_string()))?;
    query(
        "INSERT INTO audit_entries (at_us, kind, run, tenant, actor, body, times, once) \
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7) \
         ON CONFLICT (once) DO UPDATE SET times = audit_entries.times + 1 WHERE audit_entries.leaf IS NULL",
    )
    .bind(at_us)
    .bind(kind)
    .bind(run.map(RunNumber::column))
    .bind(tenant)
    .bind(actor)
    .bind(body)
    .bind(once)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}
