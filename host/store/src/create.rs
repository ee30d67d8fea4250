//! Beginning a run: by a process that works on it at once, or for whichever comes first.

use mendwright_core::id::RunId;
use mendwright_core::plan::Digest;
use mendwright_core::run::State;
use mendwright_core::task::Task;
use mendwright_crash::{Point, reached};

use crate::audit::{self, Fact};
use crate::db::{Conn, dialect, query};
use crate::error::{Error, Result};
use crate::lease::{LEASE_US, Lease};
use crate::run::{RunNumber, RunRecord, read};
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
        let number = insert(tx.conn(), new, Some(self.owner()), now_us, failed).await?;
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
        let Some(Idempotency { key, request }) = key else {
            let number = insert(tx.conn(), new, None, now_us, failed).await?;
            let record = read(tx.conn(), number, failed).await?;
            tx.commit().await.map_err(failed)?;
            return Ok(Begun::New(record));
        };
        // The row of the counter is what two hosts with one key wait for.
        let number = insert(tx.conn(), new, None, now_us, failed).await?;
        reached(Point::RunInserted);
        let before = query("SELECT request, run FROM idempotency_keys WHERE idempotency_key = $1")
            .bind(key.as_str())
            .optional(tx.conn())
            .await
            .map_err(failed)?;
        if let Some(row) = before {
            let run: i64 = row.try_get("run").map_err(failed)?;
            let run = RunNumber::new(u64::try_from(run).unwrap_or(0));
            if row.try_get::<String>("request").map_err(failed)? != request.to_string() {
                return Err(Error::KeyReused { key: key.clone(), run });
            }
            // What was inserted is rolled back with the transaction.
            return read(tx.conn(), run, failed).await.map(Begun::Before);
        }
        query("INSERT INTO idempotency_keys (idempotency_key, request, run) VALUES ($1, $2, $3)")
            .bind(key.as_str())
            .bind(request.to_string())
            .bind(number.column())
            .execute(tx.conn())
            .await
            .map_err(failed)?;
        reached(Point::KeyInserted);
        let record = read(tx.conn(), number, failed).await?;
        tx.commit().await.map_err(failed)?;
        reached(Point::RunAccepted);
        Ok(Begun::New(record))
    }

    async fn check_earlier(&self, new: &NewRun) -> Result<()> {
        for earlier in new.parent.into_iter().chain(new.compensates) {
            self.run(earlier).await?;
        }
        Ok(())
    }
}

/// The row of a run, leased to `owner` where there is one.
async fn insert(
    mut conn: Conn<'_>,
    new: NewRun,
    owner: Option<&str>,
    now_us: i64,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<RunNumber> {
    let number = query("UPDATE counters SET value = value + 1 WHERE name = 'run' RETURNING value")
        .scalar::<i64>(conn.reborrow())
        .await
        .map_err(failed)?
        .ok_or_else(|| Error::corrupt("counters", "value", "run", "it is gone"))?;
    let number = u64::try_from(number).map_err(|e| Error::corrupt("counters", "value", "run", e))?;
    let number = RunNumber::new(number);
    // When it is due, and until when it is leased, is a matter of the database's clock.
    let now = dialect::now(conn.engine());
    let until = if owner.is_some() { format!("{now} + {LEASE_US}") } else { "NULL".into() };
    let sql = format!(
        "INSERT INTO runs (number, id, nonce, tenant, job_name, job_version, state, created_at_us, updated_at_us, \
         requested_by, environment, params, only_rows, frozen_now_us, frozen_seed, parent, compensates, attempt, \
         undo_generation, task, task_by, due_at_us, tries, lease_owner, lease_until_us) VALUES ($1, $2, $3, $4, $5, \
         $6, $7, $8, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0, $18, $9, {now}, 0, $19, {until})"
    );
    let only = serde_json::to_string(&new.only).map_err(|e| Error::Bug(e.to_string()))?;
    let begun = Fact::new("run.begun", &new.requested_by, now_us)
        .run(number)
        .tenant(&new.tenant)
        .say("id", new.id)
        .say("job", &new.job_name)
        .say("version", &new.job_version);
    query(sql)
        .bind(number.column())
        .bind(new.id.to_string())
        .bind(new.nonce)
        .bind(new.tenant)
        .bind(new.job_name)
        .bind(new.job_version)
        .bind(State::Planning.word())
        .bind(now_us)
        .bind(new.requested_by)
        .bind(new.environment)
        .bind(new.params.to_string())
        .bind(only)
        .bind(new.frozen_now_us)
        .bind(new.frozen_seed)
        .bind(new.parent.map(RunNumber::column))
        .bind(new.compensates.map(RunNumber::column))
        .bind(i64::from(owner.is_some()))
        .bind(Task::Plan.word())
        .bind(owner)
        .execute(conn.reborrow())
        .await
        .map_err(failed)?;
    audit::record(conn, begun, failed).await?;
    Ok(number)
}
