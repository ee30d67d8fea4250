//! The schema, as numbered steps that only go forward.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::dialect::{self, failure};
use crate::error::{Error, Result};

/// A step's statements, in the subset of SQL that both engines share: BIGINT and TEXT, JSON as text,
/// times in microseconds since 1970. A step that was released is never edited.
type Statements = &'static [&'static str];

/// Every step; its number is its place, from 1.
pub(crate) const STEPS: &[Statements] = &[FIRST, COMPENSATIONS];

const FIRST: Statements = &[
    "CREATE TABLE counters (
        name TEXT PRIMARY KEY NOT NULL,
        value BIGINT NOT NULL
    )",
    "INSERT INTO counters (name, value) VALUES ('run', 0)",
    // `parent` and `plan_digest` are what a person sees; the plan itself stands in `plans`.
    "CREATE TABLE runs (
        number BIGINT PRIMARY KEY NOT NULL CHECK (number > 0),
        id TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL,
        job_name TEXT NOT NULL,
        job_version TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('planning', 'planned', 'nothing_to_do', 'denied', 'refused', 'failed',
            'applying', 'verifying', 'succeeded', 'drifted', 'violated', 'expired', 'cancelled', 'rolling_back',
            'rolled_back', 'stuck', 'diverged')),
        created_at_us BIGINT NOT NULL,
        updated_at_us BIGINT NOT NULL,
        requested_by TEXT NOT NULL,
        environment TEXT NOT NULL,
        params TEXT NOT NULL,
        frozen_now_us BIGINT NOT NULL,
        frozen_seed TEXT NOT NULL,
        parent BIGINT REFERENCES runs (number),
        plan_digest TEXT,
        attempt BIGINT NOT NULL CHECK (attempt >= 0),
        undo_generation BIGINT NOT NULL CHECK (undo_generation >= 0),
        outcome_code TEXT,
        outcome_message TEXT,
        expires_at_us BIGINT,
        applied_at_us BIGINT,
        undo_until_us BIGINT,
        CHECK ((outcome_code IS NULL) = (outcome_message IS NULL)),
        CHECK (plan_digest IS NOT NULL OR state NOT IN ('planned', 'applying', 'verifying', 'succeeded', 'drifted',
            'violated', 'expired', 'cancelled', 'rolling_back', 'rolled_back', 'stuck', 'diverged'))
    )",
    "CREATE INDEX runs_by_state ON runs (state)",
    "CREATE TABLE run_events (
        run BIGINT NOT NULL REFERENCES runs (number),
        seq BIGINT NOT NULL CHECK (seq > 0),
        at_us BIGINT NOT NULL,
        from_state TEXT NOT NULL,
        event TEXT NOT NULL,
        to_state TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        code TEXT,
        note TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    )",
    "CREATE TABLE plans (
        run BIGINT PRIMARY KEY NOT NULL REFERENCES runs (number),
        digest TEXT NOT NULL,
        header TEXT NOT NULL,
        document TEXT NOT NULL
    )",
    "CREATE TABLE plan_changes (
        run BIGINT NOT NULL REFERENCES plans (run),
        seq BIGINT NOT NULL CHECK (seq > 0),
        resource TEXT NOT NULL,
        key_text TEXT NOT NULL,
        leaf TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    )",
    "CREATE TABLE plan_salts (
        run BIGINT PRIMARY KEY NOT NULL REFERENCES plans (run),
        salt TEXT NOT NULL
    )",
    "CREATE TABLE run_log (
        run BIGINT NOT NULL REFERENCES runs (number),
        seq BIGINT NOT NULL CHECK (seq > 0),
        level TEXT NOT NULL,
        line TEXT NOT NULL,
        PRIMARY KEY (run, seq)
    )",
];

/// A run can take another one back in the job's own way.
const COMPENSATIONS: Statements = &[
    "ALTER TABLE runs ADD COLUMN compensates BIGINT REFERENCES runs (number) CHECK (compensates < number)",
    "CREATE INDEX runs_by_compensates ON runs (compensates)",
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_steps (
        version BIGINT PRIMARY KEY NOT NULL,
        applied_at_us BIGINT NOT NULL
    )";

/// The version that this host writes.
pub(crate) fn latest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Brings the schema to [`latest`], in one transaction.
///
/// # Errors
/// [`Error::Version`] where a newer host was here; nothing is changed then.
pub(crate) async fn migrate(conn: &mut SqliteConnection, path: &Path, now_us: i64) -> Result<()> {
    let failed = |e| failure(path, "preparing the schema", e);
    let mut tx = conn.begin_with(dialect::BEGIN_WRITE).await.map_err(failed)?;
    sqlx::query(AssertSqlSafe(dialect::ddl(TABLE))).execute(&mut *tx).await.map_err(failed)?;
    let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM schema_steps")
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
    if found > latest() {
        let (found, needs) = (found.to_string(), format!("{} or older", latest()));
        return Err(Error::Version { path: path.to_owned(), what: "schema", found, needs });
    }
    for (version, statements) in (1..).zip(STEPS).filter(|(version, _)| *version > found) {
        for statement in *statements {
            sqlx::query(AssertSqlSafe(dialect::ddl(statement))).execute(&mut *tx).await.map_err(failed)?;
        }
        sqlx::query("INSERT INTO schema_steps (version, applied_at_us) VALUES ($1, $2)")
            .bind::<i64>(version)
            .bind(now_us)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mendwright_core::run::State;

    #[test]
    fn the_check_on_states_lists_every_state_and_nothing_else() {
        let runs = FIRST.iter().find(|s| s.contains("CREATE TABLE runs")).unwrap();
        let list = runs.split("CHECK (state IN (").nth(1).unwrap().split(')').next().unwrap();
        let listed: Vec<&str> = list.split(',').map(|word| word.trim().trim_matches('\'')).collect();
        let known: Vec<&str> = State::ALL.iter().map(|s| s.word()).collect();
        assert_eq!(listed, known);
    }
}
