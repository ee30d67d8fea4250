//! How a run moves: one compare-and-set, and the event beside it in the same transaction.

use mendwright_core::code::Code;
use mendwright_core::run::{Event, State};
use mendwright_core::task::Task;
use mendwright_crash::{Point, reached};

use crate::audit::{self, Fact};
use crate::db::{Conn, Query, dialect, insert, query};
use crate::error::{Error, Result};
use crate::run::{Outcome, RunNumber, read};
use crate::store::Store;
use crate::trust;
use crate::words;

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    expected: State,
    pub(crate) event: Event,
    pub(crate) now_us: i64,
    attempt: Option<u64>,
    outcome: Option<Outcome>,
    undo_until_us: Option<i64>,
    note: String,
    by: Option<String>,
    again_in_us: Option<i64>,
    facts: Vec<Fact>,
}

impl Step {
    /// `event` happened at `now_us` to a run that the caller believes to be `expected`.
    #[must_use]
    pub const fn new(expected: State, event: Event, now_us: i64) -> Self {
        Self {
            expected,
            event,
            now_us,
            attempt: None,
            outcome: None,
            undo_until_us: None,
            note: String::new(),
            by: None,
            again_in_us: None,
            facts: Vec::new(),
        }
    }

    /// Something to be told of the run together with the step, in the audit log.
    #[must_use]
    pub fn fact(mut self, fact: Fact) -> Self {
        self.facts.push(fact);
        self
    }

    /// Who did it: `person:alice`. The host itself otherwise.
    #[must_use]
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.by = Some(actor.into());
        self
    }

    /// What was asked for did not come about and is to be tried again, not before so much time has passed.
    #[must_use]
    pub const fn again_in(mut self, after_us: i64) -> Self {
        self.again_in_us = Some(after_us);
        self
    }

    /// For `run log`.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Why it happened. A step without an outcome takes away the one before it.
    #[must_use]
    pub fn outcome(mut self, code: Code, message: impl Into<String>) -> Self {
        self.outcome = Some(Outcome { code, message: message.into() });
        self
    }

    /// Until when the run can be undone from here on.
    #[must_use]
    pub const fn undo_until(mut self, at_us: i64) -> Self {
        self.undo_until_us = Some(at_us);
        self
    }

    /// Refuses the step if somebody else took the run over since attempt `attempt`.
    #[must_use]
    pub const fn attempt(mut self, attempt: u64) -> Self {
        self.attempt = Some(attempt);
        self
    }
}

/// Who moves a run where nobody else is named.
const HOST: &str = "host";

/// Whether the event says that the target's journal holds one undo more.
const fn adds_undo(event: Event) -> bool {
    matches!(event, Event::RollbackCommitted | Event::RedoCommitted)
}

impl Store {
    /// [`Store::step`] with nothing but a note.
    ///
    /// # Errors
    /// As [`Store::step`].
    pub async fn transition(
        &self,
        run: RunNumber,
        expected: State,
        event: Event,
        now_us: i64,
        note: &str,
    ) -> Result<State> {
        self.step(run, Step::new(expected, event, now_us).note(note)).await
    }

    /// Moves a run and records why. A run becomes planned only through [`Store::save_plan`].
    ///
    /// A run that comes to rest is let go by the process that worked on it. A committed undo or redo counts
    /// `undo_generation` up; the first committed flush sets `applied_at_us`.
    ///
    /// # Errors
    /// [`Error::Illegal`] where the event cannot happen in that state, [`Error::Overtaken`] where the
    /// run is in another state, [`Error::Fenced`] where it is in another attempt,
    /// [`Error::RunUnknown`]. The run is as it was then.
    pub async fn step(&self, run: RunNumber, step: Step) -> Result<State> {
        let failed = self.failed("recording a step of a run");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let state = move_run(tx.conn(), run, std::slice::from_ref(&step), failed).await?;
        reached(Point::StepUncommitted);
        tx.commit().await.map_err(failed)?;
        reached(Point::StepCommitted);
        Ok(state)
    }
}

fn count_column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What steps come to, one after the other.
struct Moves<'s> {
    first: &'s Step,
    last: &'s Step,
    to: State,
    /// Each step with where it leads.
    all: Vec<(&'s Step, State)>,
}

impl<'s> Moves<'s> {
    /// `core` decides each.
    fn of(run: RunNumber, steps: &'s [Step]) -> Result<Self> {
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return Err(Error::Bug(format!("{run} was to move without a step")));
        };
        let mut to = first.expected;
        let mut all = Vec::with_capacity(steps.len());
        for step in steps {
            if step.expected != to {
                return Err(Error::Overtaken { run, expected: step.expected, found: to, event: step.event });
            }
            to = to.apply(step.event).map_err(|source| Error::Illegal { run, source })?;
            all.push((step, to));
        }
        Ok(Self { first, last, to, all })
    }

    fn undos(&self) -> i64 {
        self.all.iter().map(|(step, _)| i64::from(adds_undo(step.event))).sum()
    }

    fn applied_at_us(&self) -> Option<i64> {
        let committed = self.all.iter().find(|(step, _)| step.event == Event::FlushCommitted);
        committed.map(|(step, _)| step.now_us)
    }

    fn undo_until_us(&self) -> Option<i64> {
        self.all.iter().rev().find_map(|(step, _)| step.undo_until_us)
    }
}

/// The compare-and-set, inside the caller's transaction: one step or several, as one.
pub(crate) async fn move_run(
    mut conn: Conn<'_>,
    run: RunNumber,
    steps: &[Step],
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<State> {
    let moves = Moves::of(run, steps)?;
    let (first, last, to) = (moves.first, moves.last, moves.to);
    // What is in flight has a task; what rests has none, unless it is to be tried again.
    let task = Task::of(to).map(Task::word);
    let rests = task.is_none() && last.again_in_us.is_none();
    // What is due is so by the database's clock: a host's may be hours ahead.
    let now = dialect::now(conn.engine());
    let moved = query(format!(
        "UPDATE runs SET state = $1, updated_at_us = $2, \
         undo_generation = undo_generation + $3, outcome_code = $4, outcome_message = $5, \
         applied_at_us = coalesce(applied_at_us, $6), undo_until_us = coalesce($7, undo_until_us), \
         task = CASE WHEN $8 = 1 THEN NULL ELSE coalesce($9, task) END, \
         task_by = CASE WHEN $8 = 1 THEN NULL ELSE coalesce(task_by, $10) END, \
         task_confirm = CASE WHEN $8 = 1 THEN NULL ELSE task_confirm END, \
         task_glass = CASE WHEN $8 = 1 THEN NULL ELSE task_glass END, \
         due_at_us = CASE WHEN $8 = 1 THEN NULL ELSE coalesce({now} + $11, due_at_us, {now}) END, \
         tries = CASE WHEN $8 = 1 THEN 0 WHEN $11 IS NULL THEN tries ELSE tries + 1 END, \
         lease_owner = CASE WHEN $9 IS NULL THEN NULL ELSE lease_owner END, \
         lease_until_us = CASE WHEN $9 IS NULL THEN NULL ELSE lease_until_us END \
         WHERE number = $12 AND state = $13 AND attempt = coalesce($14, attempt) RETURNING attempt, tenant, job_name, \
         (SELECT coalesce(max(seq), 0) FROM run_events WHERE run = $12) AS n_events"
    ))
    .bind(to.word())
    .bind(last.now_us)
    .bind(moves.undos())
    .bind(last.outcome.as_ref().map(|outcome| outcome.code.text()))
    .bind(last.outcome.as_ref().map(|outcome| outcome.message.as_str()))
    .bind(moves.applied_at_us())
    .bind(moves.undo_until_us())
    .bind(i64::from(rests))
    .bind(task)
    .bind(last.by.as_deref().unwrap_or(HOST))
    .bind(last.again_in_us)
    .bind(run.column())
    .bind(first.expected.word())
    .bind(first.attempt.map(count_column))
    .optional(conn.reborrow())
    .await
    .map_err(failed)?;
    let Some(moved) = moved else {
        let found = read(conn, run, failed).await?;
        return Err(match first.attempt {
            Some(expected) if found.state == first.expected => Error::Fenced { run, expected, found: found.attempt },
            _ => Error::Overtaken { run, expected: first.expected, found: found.state, event: first.event },
        });
    };
    let tenant: String = moved.try_get("tenant").map_err(failed)?;
    for step in steps.iter().filter(|step| trust::is_setback(step.event)) {
        let job: String = moved.try_get("job_name").map_err(failed)?;
        trust::set_back(conn.reborrow(), (&job, &tenant), run, step, failed).await?;
    }
    let told = Told {
        run,
        tenant: &tenant,
        attempt: moved.try_get("attempt").map_err(failed)?,
        n_events: moved.try_get("n_events").map_err(failed)?,
    };
    let (events, facts) = told.of(&moves);
    audit::beside(conn, vec![events], facts, failed).await?;
    Ok(to)
}

/// What is written down of steps beside the run's own row.
struct Told<'r> {
    run: RunNumber,
    tenant: &'r str,
    attempt: i64,
    /// Events that the run has already.
    n_events: i64,
}

impl Told<'_> {
    fn of(&self, moves: &Moves<'_>) -> (Query, Vec<Fact>) {
        let Self { run, tenant, attempt, n_events } = *self;
        let mut facts = Vec::new();
        let events = (n_events + 1..).zip(&moves.all).map(|(seq, (step, to))| {
            let told = std::iter::once(moved_fact(step, *to, attempt)).chain(step.facts.iter().cloned());
            facts.extend(told.map(|fact| fact.run(run).tenant(tenant)));
            [
                run.column().into(),
                seq.into(),
                step.now_us.into(),
                step.expected.word().into(),
                words::event_word(step.event).into(),
                to.word().into(),
                attempt.into(),
                step.outcome.as_ref().map(|outcome| outcome.code.text()).into(),
                step.note.as_str().into(),
            ]
        });
        let into = "run_events (run, seq, at_us, from_state, event, to_state, attempt, code, note)";
        let events = insert(into, events, "");
        (events, facts)
    }
}

/// What is written down of a run whose first steps these are; where it stands then.
pub(crate) fn first_steps(
    run: RunNumber,
    tenant: &str,
    attempt: i64,
    steps: &[Step],
) -> Result<(State, Query, Vec<Fact>)> {
    let moves = Moves::of(run, steps)?;
    let (events, facts) = Told { run, tenant, attempt, n_events: 0 }.of(&moves);
    Ok((moves.to, events, facts))
}

/// What the audit log says of a step.
fn moved_fact(step: &Step, to: State, attempt: i64) -> Fact {
    let fact = Fact::new("run.moved", step.by.as_deref().unwrap_or(HOST), step.now_us)
        .say("event", words::event_word(step.event))
        .say("from", step.expected)
        .say("to", to)
        .say("attempt", attempt);
    match &step.outcome {
        Some(outcome) => fact.say("code", outcome.code),
        None => fact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, open, opened, path, planned, planning, tamper};

    #[tokio::test]
    async fn the_whole_story_of_a_run_is_kept_with_its_counters() {
        use Event as E;
        use State as S;
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 2).await;
        let story = [
            (S::Planned, E::ApplyStarted, 0),
            (S::Applying, E::ApplyAbandoned, 0),
            (S::Planned, E::ApplyStarted, 0),
            (S::Applying, E::FlushCommitted, 0),
            (S::Verifying, E::VerificationPassed, 0),
            (S::Succeeded, E::RollbackStarted, 0),
            (S::RollingBack, E::RollbackCommitted, 1),
            (S::RolledBack, E::RollbackStarted, 1),
            (S::RollingBack, E::RedoCommitted, 2),
        ];
        for (i, (from, event, generation)) in (1..).zip(story) {
            let step = Step::new(from, event, NOW + i).note(format!("step {i}")).outcome(Code::LockWait, "why");
            let to = store.step(run, step).await.unwrap();
            let record = store.run(run).await.unwrap();
            assert_eq!((record.state, record.updated_at_us), (to, NOW + i));
            assert_eq!(record.undo_generation, generation, "{event:?}");
            assert_eq!(record.asked.is_some(), to.is_in_flight(), "{event:?}");
            assert!(record.leased.is_none() || to.is_in_flight(), "{event:?}");
        }
        let events = store.events(run).await.unwrap();
        assert_eq!(events.len(), story.len() + 1);
        for (i, event) in (1..).zip(&events) {
            assert_eq!((event.seq, event.from.apply(event.event)), (i, Ok(event.to)));
        }
        assert_eq!((events[3].note.as_str(), events[3].code), ("step 3", Some(Code::LockWait)));
        let record = store.run(run).await.unwrap();
        assert_eq!(record.applied_at_us, Some(NOW + 4));
        assert_eq!(record.outcome, Some(Outcome { code: Code::LockWait, message: "why".into() }));
    }

    #[tokio::test]
    async fn an_outcome_lasts_until_the_next_step_and_undo_until_stays() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 2).await;
        let step =
            Step::new(State::Planned, Event::ApplyStarted, NOW).outcome(Code::LockWait, "why").undo_until(NOW + 9);
        store.step(run, step).await.unwrap();
        store.transition(run, State::Applying, Event::FlushCommitted, NOW, "").await.unwrap();
        let record = store.run(run).await.unwrap();
        assert_eq!((record.outcome, record.undo_until_us), (None, Some(NOW + 9)));
    }

    #[tokio::test]
    async fn what_cannot_happen_is_refused_and_changes_nothing() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        let number = run.number;
        let refused = store.transition(number, State::Planning, Event::FlushCommitted, NOW, "").await.unwrap_err();
        assert_eq!(refused.code(), Code::RunState);
        let refused = store.transition(number, State::Planned, Event::ApplyStarted, NOW, "").await.unwrap_err();
        assert!(matches!(refused, Error::Overtaken { found: State::Planning, .. }), "{refused}");
        let refused = store.transition(RunNumber::new(5), State::Planned, Event::ApplyStarted, NOW, "").await;
        assert_eq!(refused.unwrap_err().code(), Code::RunUnknown);
        // Without a plan there is nothing to be planned.
        let refused = store.transition(number, State::Planning, Event::ChangesFound, NOW, "").await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal);
        assert_eq!(store.run(number).await.unwrap(), run);
        assert!(store.events(number).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_run_that_another_process_took_fences_the_first_one() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 2).await;
        let first = store.claim(run).await.unwrap();
        store.transition(run, State::Planned, Event::ApplyStarted, NOW, "").await.unwrap();
        tamper(&store, "UPDATE runs SET lease_until_us = 1").await.unwrap();
        let second = store.claim(run).await.unwrap();
        assert_eq!(second.attempt, first.attempt + 1);
        assert_eq!(store.renew(first).await.unwrap_err().code(), Code::FenceLost);
        let old = Step::new(State::Applying, Event::FlushCommitted, NOW).attempt(first.attempt);
        assert_eq!(store.step(run, old.clone()).await.unwrap_err().code(), Code::FenceLost);
        store.renew(second).await.unwrap();
        store.step(run, old.attempt(second.attempt)).await.unwrap();
    }

    #[tokio::test]
    async fn an_event_that_nobody_knows_is_named() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 2).await;
        tamper(&store, "UPDATE run_events SET event = 'sneezed'").await.unwrap();
        let error = store.events(run).await.unwrap_err();
        assert!(error.to_string().contains("`run_events.event`, row #1/1"), "{error}");
    }

    #[tokio::test]
    async fn of_many_handles_that_start_to_apply_at_once_exactly_one_wins() {
        let (_dir, store) = opened().await;
        let mut handles = vec![];
        for _ in 0..4 {
            handles.push(open(path(&store)).await);
        }
        for _ in 0..25 {
            let run = planned(&store, "Germany", 1).await;
            let starts =
                handles.iter().map(|handle| handle.transition(run, State::Planned, Event::ApplyStarted, NOW, ""));
            let results = futures::future::join_all(starts).await;
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
            for lost in results.into_iter().filter_map(Result::err) {
                assert!(matches!(lost, Error::Overtaken { found: State::Applying, .. }), "{lost}");
            }
            assert_eq!((store.run(run).await.unwrap().attempt, store.events(run).await.unwrap().len()), (1, 2));
        }
    }
}
