//! Brings a store's schema to this host's version. Steps only go forward; two neighbouring versions of
//! the host can work at once where a step says so.

use crate::db::{Engine, Place, dialect, postgres, query};
use crate::error::{Error, Result};
use crate::schema::STEPS;
use crate::store::Store;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_steps (
        version BIGINT PRIMARY KEY NOT NULL,
        works_with BIGINT NOT NULL,
        applied_at_us BIGINT NOT NULL
    )";

/// The version that this host writes.
pub(crate) fn latest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Whether a host of this version can work with a schema of that one.
const fn works(host: i64, schema: i64, works_with: i64) -> bool {
    schema <= host || works_with <= host
}

/// Refuses a schema that this host cannot work with.
pub(crate) fn check(place: &Place, found: i64, works_with: i64) -> Result<()> {
    if works(latest(), found, works_with) {
        return Ok(());
    }
    let (found, needs) = (found.to_string(), format!("{} or older", latest()));
    Err(Error::Version { place: place.clone(), what: "schema", found, needs })
}

/// Brings the schema to [`latest`], in one transaction.
///
/// # Errors
/// [`Error::Version`] where a newer host was here whose schema this one cannot use; nothing is changed
/// then.
pub(crate) async fn migrate(store: &Store, now_us: i64) -> Result<()> {
    let failed = store.failed("preparing the schema");
    let engine = store.engine();
    let mut writer = store.writer().await?;
    let mut tx = writer.begin().await.map_err(failed)?;
    if engine == Engine::Postgres {
        postgres::prepare(tx.conn()).await.map_err(failed)?;
    }
    query(dialect::ddl(engine, TABLE)).execute(tx.conn()).await.map_err(failed)?;
    let row = query(
        "SELECT coalesce(max(version), 0) AS version, coalesce(max(works_with), 0) AS works_with FROM schema_steps",
    )
    .optional(tx.conn())
    .await
    .map_err(failed)?
    .ok_or_else(|| Error::Bug("an aggregate gave no row".to_owned()))?;
    let found: i64 = row.try_get("version").map_err(failed)?;
    let works_with: i64 = row.try_get("works_with").map_err(failed)?;
    check(store.place(), found, works_with)?;
    for (version, step) in (1_i64..).zip(STEPS).filter(|(version, _)| *version > found) {
        for statement in step.statements {
            query(dialect::ddl(engine, statement)).execute(tx.conn()).await.map_err(failed)?;
        }
        query("INSERT INTO schema_steps (version, works_with, applied_at_us) VALUES ($1, $2, $3)")
            .bind(version)
            .bind(step.works_with)
            .bind(now_us)
            .execute(tx.conn())
            .await
            .map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use mendwright_core::run::State;

    use super::*;

    #[test]
    fn the_check_on_states_lists_every_state_and_nothing_else() {
        let runs = STEPS.iter().flat_map(|step| step.statements).find(|s| s.contains("CREATE TABLE runs")).unwrap();
        let list = runs.split("CHECK (state IN (").nth(1).unwrap().split(')').next().unwrap();
        let listed: Vec<&str> = list.split(',').map(|word| word.trim().trim_matches('\'')).collect();
        let known: Vec<&str> = State::ALL.iter().map(|s| s.word()).collect();
        assert_eq!(listed, known);
    }

    #[test]
    fn a_host_works_with_its_own_schema_older_ones_and_those_that_say_so() {
        assert!(works(4, 4, 1) && works(4, 0, 0) && works(4, 5, 4));
        assert!(!works(4, 5, 5) && !works(4, 6, 5));
    }
}
