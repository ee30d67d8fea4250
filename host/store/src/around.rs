//! What a decision stands on beside its run, in one statement: a decision is made while others wait.

use mendwright_core::switch::Switch;

use crate::db::{Conn, Engine, Row, dialect, query};
use crate::error::{Error, Result};
use crate::people::StoredPeople;
use crate::run::RunNumber;
use crate::switches::{SwitchRow, Switches};
use crate::trust::Setback;

/// Applies that are listed, the newest first: policies speak of few.
const LISTED_MAX: i64 = 32;

/// Applies of the last hour that are counted, at most.
const COUNTED_MAX: i64 = 1_000;

/// How far back the newest ones are looked for.
const DAY_US: i64 = 24 * HOUR_US;
const HOUR_US: i64 = 3_600 * 1_000_000;

/// What is known of a tenant, a job and a target, whatever the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Now, by the database's clock.
    pub now_us: i64,
    /// How switches stand.
    pub switches: Switches,
    /// The registry of people, every version of it.
    pub people: Vec<StoredPeople>,
    /// How far the job is trusted for this tenant, where somebody said so.
    pub trust: Option<String>,
    /// What went wrong since.
    pub setback: Option<Setback>,
    /// When repairs were applied to this tenant in this target in the last day, the newest first; a few of
    /// them. One that is being applied counts as applied now.
    pub applied_at_us: Vec<i64>,
    /// How many there were in the last hour beside those.
    pub more_last_hour: u32,
}

/// Each row is one thing: `what` says which; its whole numbers are in `n1` to `n3`, its texts in `a` to `e`.
fn statement(engine: Engine, of_target: bool) -> String {
    let of_target = if of_target { "target = $3" } else { "target IS NOT NULL" };
    let of_tenant = format!("FROM runs WHERE tenant = $1 AND {of_target}");
    let (now, begun) = (dialect::now(engine), dialect::statement_began(engine));
    let number = "CAST(NULL AS BIGINT)";
    let text = "CAST(NULL AS TEXT)";
    format!(
        "SELECT 'epoch' AS what, value AS n1, {now} AS n2, {number} AS n3, {text} AS a, {text} AS b, {text} AS c, \
           {text} AS d, {text} AS e FROM counters WHERE name = 'switch_epoch' \
         UNION ALL SELECT 'switch', is_on, at_us, expires_at_us, kind, scope, reason, thrown_by, running FROM switches \
         UNION ALL SELECT 'people', version, at_us, {number}, envelope, {text}, {text}, {text}, {text} FROM people \
         UNION ALL SELECT 'trust', {number}, {number}, {number}, trust, {text}, {text}, {text}, {text} FROM trust \
           WHERE job_name = $2 AND tenant = $1 \
         UNION ALL SELECT 'setback', run, {number}, {number}, event, {text}, {text}, {text}, {text} FROM trust_setbacks \
           WHERE job_name = $2 AND tenant = $1 \
         UNION ALL SELECT 'applied', at_us, {number}, {number}, {text}, {text}, {text}, {text}, {text} FROM \
           (SELECT applied_at_us AS at_us {of_tenant} AND applied_at_us > {begun} - {DAY_US} \
            ORDER BY applied_at_us DESC LIMIT {LISTED_MAX}) AS newest \
         UNION ALL SELECT 'hour', count(*), {number}, {number}, {text}, {text}, {text}, {text}, {text} FROM \
           (SELECT 1 AS one {of_tenant} AND applied_at_us > {begun} - {HOUR_US} LIMIT {COUNTED_MAX}) AS hour \
         UNION ALL SELECT 'applying', count(*), {number}, {number}, {text}, {text}, {text}, {text}, {text} \
           {of_tenant} AND state IN ('applying', 'verifying') AND applied_at_us IS NULL"
    )
}

/// Everything that a decision about this job, tenant and target stands on, as the caller's transaction sees
/// it.
pub(crate) async fn look(
    conn: Conn<'_>,
    (tenant, job, target): (&str, &str, Option<&str>),
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Surroundings> {
    let sql = statement(conn.engine(), target.is_some());
    let query = query(sql).bind(tenant).bind(job);
    let query = match target {
        Some(target) => query.bind(target),
        None => query,
    };
    let rows = query.all(conn).await.map_err(failed)?;
    let mut found = Found::default();
    for row in &rows {
        found.take(row, failed)?;
    }
    found.finish()
}

#[derive(Default)]
struct Found {
    around: Surroundings,
    epoch: Option<i64>,
    switches: Vec<Switch>,
    people: Vec<(i64, StoredPeople)>,
    hour: i64,
    applying: i64,
}

impl Found {
    fn take(&mut self, row: &Row, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<()> {
        let number = |column: &str| row.try_get::<i64>(column).map_err(failed);
        let text = |column: &str| row.try_get::<String>(column).map_err(failed);
        match text("what")?.as_str() {
            "epoch" => {
                self.epoch = Some(number("n1")?);
                self.around.now_us = number("n2")?;
            }
            "switch" => self.switches.push(
                SwitchRow {
                    kind: text("a")?,
                    scope: text("b")?,
                    is_on: number("n1")?,
                    reason: text("c")?,
                    thrown_by: text("d")?,
                    at_us: number("n2")?,
                    expires_at_us: row.try_get("n3").map_err(failed)?,
                    running: text("e")?,
                }
                .into_switch()?,
            ),
            "people" => {
                self.people.push((number("n1")?, StoredPeople { envelope: text("a")?, at_us: number("n2")? }));
            }
            "trust" => self.around.trust = Some(text("a")?),
            "setback" => {
                let run = RunNumber::new(number("n1")?.unsigned_abs());
                self.around.setback = Some(Setback { run, event: text("a")? });
            }
            "applied" => self.around.applied_at_us.push(number("n1")?),
            "hour" => self.hour = number("n1")?,
            "applying" => self.applying = number("n1")?,
            other => return Err(Error::Bug(format!("what a decision stands on has no `{other}`"))),
        }
        Ok(())
    }

    fn finish(self) -> Result<Surroundings> {
        let Self { mut around, epoch, mut switches, mut people, hour, applying } = self;
        let epoch = epoch.ok_or_else(|| Error::corrupt("counters", "value", "switch_epoch", "it is gone"))?;
        let epoch = u64::try_from(epoch).map_err(|e| Error::corrupt("counters", "value", "switch_epoch", e))?;
        switches.sort_by_cached_key(|switch| (switch.kind.word(), switch.scope.to_string()));
        people.sort_by_key(|(version, _)| *version);
        let now_us = around.now_us;
        let since = now_us.saturating_sub(HOUR_US);
        let listed = around.applied_at_us.iter().filter(|at| **at > since).count();
        around.more_last_hour = u32::try_from(hour).unwrap_or(0).saturating_sub(u32::try_from(listed).unwrap_or(0));
        let applying = usize::try_from(applying.min(LISTED_MAX)).unwrap_or(0);
        around.applied_at_us.extend(std::iter::repeat_n(now_us, applying));
        around.applied_at_us.sort_unstable_by(|a, b| b.cmp(a));
        around.switches = Switches { epoch, thrown: switches };
        around.people = people.into_iter().map(|(_, version)| version).collect();
        Ok(around)
    }
}
