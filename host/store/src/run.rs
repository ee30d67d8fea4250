//! A run as the control store knows it.

use mendwright_core::code::Code;
use mendwright_core::id::RunId;
use mendwright_core::plan::Digest;
use mendwright_core::run::State;
use mendwright_core::task::Task;

use crate::db::{Conn, Row, query};
use crate::error::{Error, Result};
use crate::store::Store;

pub use crate::number::RunNumber;

/// Why a run is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The stable code.
    pub code: Code,
    /// One sentence.
    pub message: String,
}

/// What is to be done with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub task: Task,
    /// Who asked: `person:alice`.
    pub by: String,
    /// The digest, or its beginning, that they confirmed.
    pub confirm: Option<String>,
    /// Why they break the glass for it; absent where they do not.
    pub glass: Option<String>,
    /// Not before this time.
    pub due_at_us: i64,
    /// How often it was tried and put off.
    pub tries: u64,
}

/// Who works on a run, if they still do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The process.
    pub owner: String,
    /// Until when, by the database's clock.
    pub until_us: i64,
}

/// A run as the control store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// The number that people type.
    pub number: RunNumber,
    /// The identifier.
    pub id: RunId,
    /// What ties what people sign to this run alone: 16 random bytes, in hex.
    pub nonce: String,
    /// Whose data.
    pub tenant: String,
    /// The job's name.
    pub job_name: String,
    /// The job's version.
    pub job_version: String,
    /// Where it stands.
    pub state: State,
    /// When it began, in microseconds since 1970, as all times here.
    pub created_at_us: i64,
    /// When it last moved.
    pub updated_at_us: i64,
    /// `person:alice`.
    pub requested_by: String,
    /// `environment` of the configuration.
    pub environment: String,
    /// The job's parameters.
    pub params: serde_json::Value,
    /// `resource/key` of the only changes that were asked for; empty for all.
    pub only: Vec<String>,
    /// The time that the job sees.
    pub frozen_now_us: i64,
    /// The seed of the randomness that the job sees.
    pub frozen_seed: String,
    /// The run that this one repeats.
    pub parent: Option<RunNumber>,
    /// The applied run that this one takes back in the job's own way.
    pub compensates: Option<RunNumber>,
    /// What people approve; absent while there is no plan.
    pub plan_digest: Option<Digest>,
    /// The database that the plan writes; absent where it writes none.
    pub target: Option<String>,
    /// How often a process took it to work on it: the fencing token.
    pub attempt: u64,
    /// How many undos the target's journal holds: 0 none, 1 undone, 2 done again …
    pub undo_generation: u64,
    /// Why it is where it is, where there is more to say than the state.
    pub outcome: Option<Outcome>,
    /// Until when the plan may be applied.
    pub expires_at_us: Option<i64>,
    /// When the target committed it first.
    pub applied_at_us: Option<i64>,
    /// Until when it can be undone.
    pub undo_until_us: Option<i64>,
    /// What is to be done with it.
    pub asked: Option<Asked>,
    /// Who works on it.
    pub leased: Option<Leased>,
}

const SELECT: &str = "SELECT number, id, nonce, tenant, job_name, job_version, state, created_at_us, updated_at_us, \
     requested_by, environment, params, only_rows, frozen_now_us, frozen_seed, parent, compensates, plan_digest, \
     target, attempt, undo_generation, outcome_code, outcome_message, expires_at_us, applied_at_us, undo_until_us, \
     task, task_by, task_confirm, task_glass, due_at_us, tries, lease_owner, lease_until_us FROM runs";

/// All columns of runs, and then `rest`.
pub(crate) fn select(rest: &str) -> String {
    format!("{SELECT} {rest}")
}

/// A row of `runs`, as it is.
struct RunRow {
    number: i64,
    id: String,
    nonce: String,
    tenant: String,
    job_name: String,
    job_version: String,
    state: String,
    created_at_us: i64,
    updated_at_us: i64,
    requested_by: String,
    environment: String,
    params: String,
    only_rows: String,
    frozen_now_us: i64,
    frozen_seed: String,
    parent: Option<i64>,
    compensates: Option<i64>,
    plan_digest: Option<String>,
    target: Option<String>,
    attempt: i64,
    undo_generation: i64,
    outcome_code: Option<String>,
    outcome_message: Option<String>,
    expires_at_us: Option<i64>,
    applied_at_us: Option<i64>,
    undo_until_us: Option<i64>,
    task: Option<String>,
    task_by: Option<String>,
    task_confirm: Option<String>,
    task_glass: Option<String>,
    due_at_us: Option<i64>,
    tries: i64,
    lease_owner: Option<String>,
    lease_until_us: Option<i64>,
}

impl RunRow {
    fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            number: row.try_get("number")?,
            id: row.try_get("id")?,
            nonce: row.try_get("nonce")?,
            tenant: row.try_get("tenant")?,
            job_name: row.try_get("job_name")?,
            job_version: row.try_get("job_version")?,
            state: row.try_get("state")?,
            created_at_us: row.try_get("created_at_us")?,
            updated_at_us: row.try_get("updated_at_us")?,
            requested_by: row.try_get("requested_by")?,
            environment: row.try_get("environment")?,
            params: row.try_get("params")?,
            only_rows: row.try_get("only_rows")?,
            frozen_now_us: row.try_get("frozen_now_us")?,
            frozen_seed: row.try_get("frozen_seed")?,
            parent: row.try_get("parent")?,
            compensates: row.try_get("compensates")?,
            plan_digest: row.try_get("plan_digest")?,
            target: row.try_get("target")?,
            attempt: row.try_get("attempt")?,
            undo_generation: row.try_get("undo_generation")?,
            outcome_code: row.try_get("outcome_code")?,
            outcome_message: row.try_get("outcome_message")?,
            expires_at_us: row.try_get("expires_at_us")?,
            applied_at_us: row.try_get("applied_at_us")?,
            undo_until_us: row.try_get("undo_until_us")?,
            task: row.try_get("task")?,
            task_by: row.try_get("task_by")?,
            task_confirm: row.try_get("task_confirm")?,
            task_glass: row.try_get("task_glass")?,
            due_at_us: row.try_get("due_at_us")?,
            tries: row.try_get("tries")?,
            lease_owner: row.try_get("lease_owner")?,
            lease_until_us: row.try_get("lease_until_us")?,
        })
    }
}

/// The one door from rows to runs.
impl TryFrom<RunRow> for RunRecord {
    type Error = Error;

    #[expect(clippy::too_many_lines, reason = "one row: every column of it, once")]
    fn try_from(row: RunRow) -> Result<Self> {
        let RunRow {
            number,
            id,
            nonce,
            tenant,
            job_name,
            job_version,
            state,
            created_at_us,
            updated_at_us,
            requested_by,
            environment,
            params,
            only_rows,
            frozen_now_us,
            frozen_seed,
            parent,
            compensates,
            plan_digest,
            target,
            attempt,
            undo_generation,
            outcome_code,
            outcome_message,
            expires_at_us,
            applied_at_us,
            undo_until_us,
            task,
            task_by,
            task_confirm,
            task_glass,
            due_at_us,
            tries,
            lease_owner,
            lease_until_us,
        } = row;
        let nonsense = |column: &'static str, detail: &dyn ToString| {
            Error::corrupt("runs", column, format!("#{number}"), detail.to_string())
        };
        let count = |column, value: i64| u64::try_from(value).map_err(|e| nonsense(column, &e));
        Ok(Self {
            number: RunNumber::new(count("number", number)?),
            id: id.parse().map_err(|e| nonsense("id", &e))?,
            nonce,
            tenant,
            job_name,
            job_version,
            state: state.parse().map_err(|e: String| nonsense("state", &e))?,
            created_at_us,
            updated_at_us,
            requested_by,
            environment,
            params: serde_json::from_str(&params).map_err(|e| nonsense("params", &e))?,
            only: serde_json::from_str(&only_rows).map_err(|e| nonsense("only_rows", &e))?,
            frozen_now_us,
            frozen_seed,
            parent: parent.map(|parent| count("parent", parent).map(RunNumber::new)).transpose()?,
            compensates: compensates.map(|of| count("compensates", of).map(RunNumber::new)).transpose()?,
            plan_digest: plan_digest
                .map(|digest| digest.parse().map_err(|e| nonsense("plan_digest", &e)))
                .transpose()?,
            target,
            attempt: count("attempt", attempt)?,
            undo_generation: count("undo_generation", undo_generation)?,
            outcome: match (outcome_code, outcome_message) {
                (None, None) => None,
                (Some(code), Some(message)) => {
                    Some(Outcome { code: code.parse().map_err(|e| nonsense("outcome_code", &e))?, message })
                }
                (Some(_), None) | (None, Some(_)) => {
                    return Err(nonsense("outcome_message", &"a code and a message go together"));
                }
            },
            expires_at_us,
            applied_at_us,
            undo_until_us,
            asked: match (task, task_by, due_at_us) {
                (None, None, None) => None,
                (Some(task), Some(by), Some(due_at_us)) => Some(Asked {
                    task: task.parse().map_err(|e: String| nonsense("task", &e))?,
                    by,
                    confirm: task_confirm,
                    glass: task_glass,
                    due_at_us,
                    tries: count("tries", tries)?,
                }),
                _ => return Err(nonsense("task", &"a task has somebody who asked for it, and a time")),
            },
            leased: match (lease_owner, lease_until_us) {
                (None, None) => None,
                (Some(owner), Some(until_us)) => Some(Leased { owner, until_us }),
                (Some(_), None) | (None, Some(_)) => {
                    return Err(nonsense("lease_until_us", &"an owner and a time go together"));
                }
            },
        })
    }
}

/// A run from its row.
pub(crate) fn from_row(row: &Row) -> Result<RunRecord> {
    let raw = RunRow::read(row).map_err(|e| Error::corrupt("runs", "*", row_name(row), e))?;
    raw.try_into()
}

fn row_name(row: &Row) -> String {
    row.try_get::<i64>("number").map_or_else(|_| "?".to_owned(), |number| format!("#{number}"))
}

impl Store {
    /// The run of this number.
    ///
    /// # Errors
    /// [`Error::RunUnknown`].
    pub async fn run(&self, number: RunNumber) -> Result<RunRecord> {
        let failed = self.failed("reading a run");
        let mut reader = self.reader().await?;
        read(reader.conn(), number, failed).await
    }
}

/// The run of this number, over this connection.
pub(crate) async fn read(
    mut conn: Conn<'_>,
    number: RunNumber,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<RunRecord> {
    let found =
        query(select("WHERE number = $1")).bind(number.column()).optional(conn.reborrow()).await.map_err(failed)?;
    if let Some(row) = found {
        return from_row(&row);
    }
    let last = query("SELECT max(number) FROM runs").scalar::<Option<i64>>(conn).await.map_err(failed)?.flatten();
    let last = last.and_then(|n| u64::try_from(n).ok()).map(RunNumber::new);
    Err(Error::RunUnknown { reference: number.get().to_string(), last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, new_run, opened, planning, tamper};

    #[tokio::test]
    async fn runs_are_numbered_from_one_without_gaps_and_read_back_whole() {
        let (_dir, store) = opened().await;
        for expected in 1..=3 {
            let mut new = new_run("Germany");
            new.parent = (expected > 1).then(|| RunNumber::new(expected - 1));
            let (run, _lease) = store.create_run(new.clone(), NOW).await.unwrap();
            assert_eq!((run.number.get(), run.state, run.id), (expected, State::Planning, new.id));
            assert_eq!((run.params.clone(), run.parent, run.attempt), (new.params, new.parent, 1));
            assert_eq!(store.run(run.number).await.unwrap(), run);
        }
        let mut twice = new_run("Germany");
        twice.id = store.run(RunNumber::new(1)).await.unwrap().id;
        assert_eq!(store.create_run(twice, NOW).await.unwrap_err().code(), Code::Internal);
        let (run, _lease) = planning(&store, "Germany").await;
        assert_eq!(run.number.get(), 4, "a run that could not begin takes no number");
        let mut orphan = new_run("Germany");
        orphan.parent = Some(RunNumber::new(99));
        assert_eq!(store.create_run(orphan, NOW).await.unwrap_err().code(), Code::RunUnknown);
    }

    #[tokio::test]
    async fn nonsense_in_a_row_is_named_by_table_column_and_row() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        for (column, value) in
            [("id", "'inc_1'"), ("params", "'{'"), ("plan_digest", "'sha256:00'"), ("undo_generation", "'a'")]
        {
            let before = format!("UPDATE runs SET {column} = (SELECT {column} FROM kept)");
            tamper(&store, "CREATE TABLE kept AS SELECT * FROM runs").await.unwrap();
            let changed = tamper(&store, &format!("UPDATE runs SET {column} = {value}")).await;
            if column == "undo_generation" {
                assert!(changed.is_err(), "a STRICT column holds its type");
            } else {
                let error = store.run(run.number).await.unwrap_err();
                assert_eq!(error.code(), Code::StoreCorrupt);
                assert!(error.to_string().contains(&format!("`runs.{column}`, row #1")), "{error}");
            }
            tamper(&store, &before).await.unwrap();
            tamper(&store, "DROP TABLE kept").await.unwrap();
        }
        assert_eq!(store.run(run.number).await.unwrap(), run);
    }

    #[tokio::test]
    async fn every_task_fits_the_table_and_no_other_word_does() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        for task in Task::ALL {
            tamper(&store, &format!("UPDATE runs SET task = '{task}'")).await.unwrap();
            assert_eq!(store.run(run.number).await.unwrap().asked.unwrap().task, task);
        }
        assert!(tamper(&store, "UPDATE runs SET task = 'dance'").await.is_err());
        assert!(tamper(&store, "UPDATE runs SET task = NULL").await.is_err(), "in flight, something is to be done");
    }

    #[tokio::test]
    async fn every_state_fits_the_table_and_no_other_word_does() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        let digest = Digest::of(b"x");
        for state in State::ALL {
            let sql = format!("UPDATE runs SET plan_digest = '{digest}', state = '{state}', task = 'plan'");
            tamper(&store, &sql).await.unwrap();
            assert_eq!(store.run(run.number).await.unwrap().state, state);
        }
        assert!(tamper(&store, "UPDATE runs SET state = 'asleep'").await.is_err());
        assert!(tamper(&store, "UPDATE runs SET state = 'planned', plan_digest = NULL").await.is_err());
    }
}
