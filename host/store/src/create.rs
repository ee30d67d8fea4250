//! Beginning a run: by a process that works on it at once, or for whichever comes first.

use mendwright_core::id::RunId;
use mendwright_core::plan::Digest;
use mendwright_core::run::State;
use mendwright_core::task::Task;
use mendwright_crash::{Point, reached};

use crate::audit::{self, Fact};
use crate::db::{Conn, Engine, Query, dialect, insert, query};
use crate::error::{Error, Result};
use crate::lease::{LEASE_US, Lease};
use crate::plan::NewPlan;
use crate::run::{Asked, Leased, RunNumber, RunRecord, read};
use crate::store::Store;

/// A run that is about to begin.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its identifier, made by the caller from its time and randomness.
    pub id: RunId,
    /// Whose data.
    pub tenant: String,
    /// The job's name.
    pub job_name: String,
    /// The job's version.
    pub job_version: String,
    /// `person:alice`.
    pub requested_by: String,
    /// `environment` of the configuration.
    pub environment: String,
    /// The job's parameters.
    pub params: serde_json::Value,
    /// The time that the job sees, in microseconds since 1970.
    pub frozen_now_us: i64,
    /// The seed of the randomness that the job sees.
    pub frozen_seed: String,
    /// For `plan --again`: the run that this one repeats.
    pub parent: Option<RunNumber>,
    /// The applied run that this one takes back in the job's own way.
    pub compensates: Option<RunNumber>,
    /// What ties what people sign to this run alone: 16 random bytes, in hex.
    pub nonce: String,
    /// `resource/key` of the only changes that are wanted; empty for all.
    pub only: Vec<String>,
}

/// A request that may arrive twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// What the caller calls it.
    pub key: String,
    /// What was asked, so that the key cannot mean two things.
    pub request: Digest,
}

/// What became of a request to begin a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// There is a new run.
    New(RunRecord),
    /// The same request came before; this is what it began.
    Before(RunRecord),
}

impl NewRun {
    /// The run as it is while it is planned, before anybody works on it.
    #[must_use]
    pub fn as_planning(&self, number: RunNumber, now_us: i64) -> RunRecord {
        RunRecord {
            number,
            id: self.id,
            nonce: self.nonce.clone(),
            tenant: self.tenant.clone(),
            job_name: self.job_name.clone(),
            job_version: self.job_version.clone(),
            state: State::Planning,
            created_at_us: now_us,
            updated_at_us: now_us,
            requested_by: self.requested_by.clone(),
            environment: self.environment.clone(),
            params: self.params.clone(),
            only: self.only.clone(),
            frozen_now_us: self.frozen_now_us,
            frozen_seed: self.frozen_seed.clone(),
            parent: self.parent,
            compensates: self.compensates,
            plan_digest: None,
            target: None,
            attempt: 0,
            undo_generation: 0,
            outcome: None,
            expires_at_us: None,
            applied_at_us: None,
            undo_until_us: None,
            asked: None,
            leased: None,
        }
    }
}

impl Store {
    /// Begins a run: state `planning`, the next number, leased to this process from before anybody else
    /// can see it.
    ///
    /// # Errors
    /// [`Error::RunUnknown`] where the parent, or what it compensates, does not exist.
    pub async fn create_run(&self, new: NewRun, now_us: i64) -> Result<(RunRecord, Lease)> {
        let failed = self.failed("beginning a run");
        self.check_earlier(&new).await?;
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let number = begin(tx.conn(), new, Some(self.owner()), now_us, failed).await?;
        let record = read(tx.conn(), number, failed).await?;
        tx.commit().await.map_err(failed)?;
        let lease = Lease { run: number, attempt: record.attempt };
        Ok((record, lease))
    }

    /// Begins a run that the first free worker plans.
    ///
    /// # Errors
    /// As [`Store::create_run`]; [`Error::KeyReused`].
    pub async fn enqueue_run(&self, new: NewRun, key: Option<&Idempotency>, now_us: i64) -> Result<Begun> {
        let failed = self.failed("beginning a run");
        self.check_earlier(&new).await?;
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        // The row of the counter is what two hosts with one key wait for.
        let number = begin(tx.conn(), new, None, now_us, failed).await?;
        reached(Point::RunInserted);
        if let Some(key) = key {
            if let Some(before) = begun_by(tx.conn(), key, failed).await? {
                // What was inserted is rolled back with the transaction.
                return Ok(Begun::Before(before));
            }
            key_row(key, number).execute(tx.conn()).await.map_err(failed)?;
            reached(Point::KeyInserted);
        }
        let record = read(tx.conn(), number, failed).await?;
        tx.commit().await.map_err(failed)?;
        reached(Point::RunAccepted);
        Ok(Begun::New(record))
    }

    /// What a request with this key began; `None` for a key that nobody used.
    ///
    /// # Errors
    /// [`Error::KeyReused`].
    pub async fn begun_by(&self, key: &Idempotency) -> Result<Option<RunRecord>> {
        let failed = self.failed("looking for what a request began");
        let mut reader = self.reader().await?;
        begun_by(reader.conn(), key, failed).await
    }

    pub(crate) async fn check_earlier(&self, new: &NewRun) -> Result<()> {
        for earlier in new.parent.into_iter().chain(new.compensates) {
            self.run(earlier).await?;
        }
        Ok(())
    }
}

/// The next number. Whoever has it is waited for by all who begin a run, until its transaction ends.
pub(crate) async fn next_number(conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<RunNumber> {
    let number = query("UPDATE counters SET value = value + 1 WHERE name = 'run' RETURNING value")
        .scalar::<i64>(conn)
        .await
        .map_err(failed)?
        .ok_or_else(|| Error::corrupt("counters", "value", "run", "it is gone"))?;
    let number = u64::try_from(number).map_err(|e| Error::corrupt("counters", "value", "run", e))?;
    Ok(RunNumber::new(number))
}

/// What a request with this key began; `None` for a key that nobody used.
pub(crate) async fn begun_by(
    mut conn: Conn<'_>,
    Idempotency { key, request }: &Idempotency,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Option<RunRecord>> {
    let before = query("SELECT request, run FROM idempotency_keys WHERE idempotency_key = $1")
        .bind(key.as_str())
        .optional(conn.reborrow())
        .await
        .map_err(failed)?;
    let Some(row) = before else { return Ok(None) };
    let run: i64 = row.try_get("run").map_err(failed)?;
    let run = RunNumber::new(u64::try_from(run).unwrap_or(0));
    if row.try_get::<String>("request").map_err(failed)? != request.to_string() {
        return Err(Error::KeyReused { key: key.clone(), run });
    }
    read(conn, run, failed).await.map(Some)
}

/// The row of a key.
pub(crate) fn key_row(Idempotency { key, request }: &Idempotency, number: RunNumber) -> Query {
    let row = [key.as_str().into(), request.to_string().into(), number.column().into()];
    insert("idempotency_keys (idempotency_key, request, run)", [row], "")
}

/// The row of a run, leased to `owner` where there is one.
async fn begin(
    mut conn: Conn<'_>,
    new: NewRun,
    owner: Option<&str>,
    now_us: i64,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<RunNumber> {
    let number = next_number(conn.reborrow(), failed).await?;
    let stands = Stands { state: State::Planning, task: Task::Plan, owner, plan: None };
    let (row, begun) = run_row(conn.engine(), &new, number, &stands, now_us)?;
    row.execute(conn.reborrow()).await.map_err(failed)?;
    audit::record(conn, begun, failed).await?;
    Ok(number)
}

/// Where a run stands when it is first seen.
pub(crate) struct Stands<'a> {
    pub(crate) state: State,
    pub(crate) task: Task,
    /// Who works on it, if somebody does: in attempt 1 then.
    pub(crate) owner: Option<&'a str>,
    pub(crate) plan: Option<PlanOf<'a>>,
}

/// What a run's row says of its plan.
pub(crate) struct PlanOf<'a> {
    pub(crate) digest: Digest,
    pub(crate) target: Option<&'a str>,
    pub(crate) expires_at_us: i64,
}

/// A run as it is when it begins with its apply.
pub(crate) fn applying(
    new: &NewRun,
    number: RunNumber,
    plan: &NewPlan<'_>,
    target: Option<&str>,
    owner: &str,
    now_us: i64,
) -> RunRecord {
    RunRecord {
        state: State::Applying,
        plan_digest: Some(plan.document.digest),
        target: target.map(ToOwned::to_owned),
        attempt: 1,
        expires_at_us: Some(plan.expires_at_us),
        asked: Some(Asked {
            task: Task::Apply,
            by: new.requested_by.clone(),
            confirm: None,
            glass: None,
            due_at_us: now_us,
            tries: 0,
        }),
        leased: Some(Leased { owner: owner.to_owned(), until_us: now_us.saturating_add(LEASE_US) }),
        ..new.as_planning(number, plan.now_us)
    }
}

/// The row of a run, and what the audit log says of its beginning.
pub(crate) fn run_row(
    engine: Engine,
    new: &NewRun,
    number: RunNumber,
    Stands { state, task, owner, plan }: &Stands<'_>,
    now_us: i64,
) -> Result<(Query, Fact)> {
    // When it is due, and until when it is leased, is a matter of the database's clock.
    let now = dialect::now(engine);
    let until = if owner.is_some() { format!("{now} + {LEASE_US}") } else { "NULL".into() };
    let sql = format!(
        "INSERT INTO runs (number, id, nonce, tenant, job_name, job_version, state, created_at_us, updated_at_us, \
         requested_by, environment, params, only_rows, frozen_now_us, frozen_seed, parent, compensates, attempt, \
         undo_generation, task, task_by, due_at_us, tries, lease_owner, lease_until_us, plan_digest, target, \
         expires_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0, \
         $18, $9, {now}, 0, $19, {until}, $20, $21, $22)"
    );
    let only = serde_json::to_string(&new.only).map_err(|e| Error::Bug(e.to_string()))?;
    let begun = Fact::new("run.begun", &new.requested_by, now_us)
        .run(number)
        .tenant(&new.tenant)
        .say("id", new.id)
        .say("job", &new.job_name)
        .say("version", &new.job_version);
    let row = query(sql)
        .bind(number.column())
        .bind(new.id.to_string())
        .bind(new.nonce.as_str())
        .bind(new.tenant.as_str())
        .bind(new.job_name.as_str())
        .bind(new.job_version.as_str())
        .bind(state.word())
        .bind(now_us)
        .bind(new.requested_by.as_str())
        .bind(new.environment.as_str())
        .bind(new.params.to_string())
        .bind(only)
        .bind(new.frozen_now_us)
        .bind(new.frozen_seed.as_str())
        .bind(new.parent.map(RunNumber::column))
        .bind(new.compensates.map(RunNumber::column))
        .bind(i64::from(owner.is_some()))
        .bind(task.word())
        .bind(*owner)
        .bind(plan.as_ref().map(|plan| plan.digest.to_string()))
        .bind(plan.as_ref().and_then(|plan| plan.target))
        .bind(plan.as_ref().map(|plan| plan.expires_at_us));
    Ok((row, begun))
}
