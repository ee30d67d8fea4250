//! The whole beginning of a run whose plan policy lets be applied at once: one transaction writes the run, its
//! plan, every answer of policy and *applying*, or nothing. And the end of such runs, several in one
//! transaction, when their target has committed.

use mendwright_core::plan::BoundChange;
use mendwright_core::plan::document::Document;
use mendwright_core::run::{Event, State};
use mendwright_core::task::Task;

use crate::around::{self, Surroundings};
use crate::audit;
use crate::create::{self, Idempotency, NewRun, PlanOf, Stands};
use crate::db::{Conn, Param, insert};
use crate::decide::{Decision, decided};
use crate::error::{Error, Result};
use crate::log;
use crate::plan::{NewPlan, change_rows, json};
use crate::run::{RunNumber, RunRecord};
use crate::store::Store;
use crate::transition::{Step, first_steps, move_run};
use crate::verify::{Tally, disagreement};

/// A run that begins with its apply.
#[derive(Clone, Copy, Debug)]
pub struct AtOnce<'a> {
    /// The run.
    pub new: &'a NewRun,
    /// What makes the request safe to send again.
    pub key: Option<&'a Idempotency>,
    /// Its plan. The number in its document is the store's to give.
    pub plan: NewPlan<'a>,
}

/// What a judge says who lets it be applied.
#[derive(Clone, Debug)]
pub struct Begins {
    /// Every answer of policy, in the order in which it was asked.
    pub decisions: Vec<Decision>,
    /// The step to *applying*.
    pub started: Step,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Written {
    /// The run is *applying*, leased to this process, in its first attempt; and the switches stood so.
    New(Box<RunRecord>, Surroundings),
    /// The same request came before; this is what it began.
    Before(Box<RunRecord>),
}

impl Store {
    /// Writes the run if `judge` lets its plan be applied: switches and approvals are serialised with that as
    /// in [`Store::decide`].
    ///
    /// # Errors
    /// As [`Store::create_run`] and [`Store::save_plan`]; the inner one is the judge's. Nothing is written then.
    pub async fn begin_at_once<E>(
        &self,
        at_once: AtOnce<'_>,
        changes: &[BoundChange],
        judge: impl FnOnce(&Surroundings) -> std::result::Result<Begins, E>,
    ) -> Result<std::result::Result<Written, E>> {
        let failed = self.failed("beginning a run");
        let AtOnce { new, key, plan } = at_once;
        self.check_earlier(new).await?;
        let target = plan.document.written_database();
        let mut tx = self.shared_deciding().await?;
        let around = around::look(tx.conn(), (&new.tenant, &new.job_name, target), failed).await?;
        let begins = match judge(&around) {
            Ok(begins) => begins,
            Err(refused) => return Ok(Err(refused)),
        };
        // From here on others wait.
        let number = create::next_number(tx.conn(), failed).await?;
        if let Some(key) = key
            && let Some(before) = create::begun_by(tx.conn(), key, failed).await?
        {
            // Two with one key came at once.
            return Ok(Ok(Written::Before(Box::new(before))));
        }
        let beginning = Beginning { new, key, plan, begins, number, target, owner: self.owner() };
        beginning.write(tx.conn(), changes, around.now_us, failed).await?;
        let record = beginning.record(around.now_us);
        tx.commit().await.map_err(failed)?;
        Ok(Ok(Written::New(Box::new(record), around)))
    }

    /// Writes down how runs went on, each by its steps, in one transaction: of a run that somebody else has by
    /// now nothing is written, and the others are as if it had not been among them. Gives for each where it
    /// stands.
    ///
    /// # Errors
    /// As any write; then nothing of it is written.
    pub async fn move_many(&self, moves: &[(RunNumber, Vec<Step>)]) -> Result<Vec<Result<State>>> {
        let failed = self.failed("recording steps of runs");
        let mut tx = self.shared().await?;
        let mut moved = Vec::with_capacity(moves.len());
        for (run, steps) in moves {
            match move_run(tx.conn(), *run, steps, failed).await {
                Err(error @ (Error::Unavailable { .. } | Error::Damaged { .. } | Error::Bug(_))) => return Err(error),
                found => moved.push(found),
            }
        }
        tx.commit().await.map_err(failed)?;
        Ok(moved)
    }
}

/// Everything that is written of a beginning.
struct Beginning<'a> {
    new: &'a NewRun,
    key: Option<&'a Idempotency>,
    plan: NewPlan<'a>,
    begins: Begins,
    number: RunNumber,
    target: Option<&'a str>,
    owner: &'a str,
}

impl Beginning<'_> {
    async fn write(
        &self,
        conn: Conn<'_>,
        changes: &[BoundChange],
        now_us: i64,
        failed: impl Fn(sqlx::Error) -> Error + Copy,
    ) -> Result<()> {
        let Self { new, key, plan, begins, number, .. } = self;
        let bug = |what: String| Error::Bug(format!("the plan of run {number} contradicts itself: {what}"));
        let document = Document { number: number.get(), ..plan.document.clone() };
        let run = number.column();
        let steps = [Step::new(State::Planning, Event::ChangesFound, plan.now_us), begins.started.clone()];
        let (state, events, moved) = first_steps(*number, &new.tenant, 1, &steps)?;
        if let Some(what) = disagreement(&self.record(now_us), plan.header, &document) {
            return Err(bug(what));
        }
        let of = PlanOf { digest: document.digest, target: self.target, expires_at_us: plan.expires_at_us };
        let stands = Stands { state, task: Task::Apply, owner: Some(self.owner), plan: Some(of) };
        let (row, begun) = create::run_row(conn.engine(), new, *number, &stands, plan.now_us)?;
        let mut tally = Tally::default();
        let rows = change_rows(*number, changes, &mut tally)?;
        tally.finish(plan.header, &document).map_err(bug)?;
        let (header, document) = (json(plan.header)?, json(&document)?);
        let salt = hex::encode(plan.salt.expose());
        let mut queries = vec![
            row,
            insert(
                "plans (run, digest, header, document)",
                [[run.into(), plan.document.digest.to_string().into(), header.into(), document.into()]],
                "",
            ),
        ];
        queries.extend(rows);
        queries.push(insert("plan_salts (run, salt)", [[run.into(), salt.into()]], ""));
        queries.extend(log::first_rows(*number, plan.log));
        queries.push(events);
        queries.push(self.decisions(now_us));
        queries.extend(key.map(|key| create::key_row(key, *number)));
        let answers = begins.decisions.iter().map(|Decision { stage, effect, decision, .. }| {
            decided(stage, effect, decision, now_us).run(*number).tenant(&new.tenant)
        });
        audit::beside(conn, queries, std::iter::once(begun).chain(answers).chain(moved), failed).await
    }

    fn decisions(&self, now_us: i64) -> crate::db::Query {
        let run = self.number.column();
        let row = |(seq, decision): (i64, &Decision)| -> [Param; 7] {
            let Decision { stage, effect, decision, facts } = decision;
            let texts = [stage, effect, decision, facts].map(|text| Param::from(text.as_str()));
            let [stage, effect, decision, facts] = texts;
            [run.into(), seq.into(), now_us.into(), stage, effect, decision, facts]
        };
        let rows = (1..).zip(&self.begins.decisions).map(row);
        insert("decisions (run, seq, at_us, stage, effect, decision, facts)", rows, "")
    }

    /// The run as it is when it was written.
    fn record(&self, now_us: i64) -> RunRecord {
        let Self { new, plan, number, target, owner, .. } = self;
        create::applying(new, *number, plan, *target, owner, now_us)
    }
}
