//! Undoing: the journal read backwards, what somebody changed since left alone.

use mendwright_core::code::Code;
use mendwright_core::gate::Kind;
use mendwright_core::run::{Event, State};
use mendwright_core::work;

use super::{Done, Host};
use crate::Mutation;
use crate::control::{Fail, Row, Step};
use crate::target::{FlushId, Write};

/// What an undo would restore, and how many rows it would leave.
struct Preview {
    writes: Vec<Write>,
    conflicts: usize,
}

impl Host {
    async fn preview(&self, row: &Row) -> Result<Preview, work::FlushEnd> {
        let (run, generation) = (row.run, row.generation);
        let overwrites = self.is(Mutation::OverwritesOthers);
        let look = move |world: &mut crate::world::World| {
            let journal = world.target.journal_of(run, generation)?;
            let n = journal.len();
            let restorable = journal
                .iter()
                .rev()
                .filter(|write| overwrites || world.target.kept.rows.get(&write.key) == Some(&write.after));
            let writes: Vec<Write> =
                restorable.map(|w| Write { key: w.key, before: w.after, after: w.before }).collect();
            Ok(Preview { conflicts: n - writes.len(), writes })
        };
        self.target("a preview of the undo", look).await
    }

    pub(super) async fn undo_held(&self, claimed: &Row) -> Done<()> {
        let row = self.held(claimed.run, claimed.attempt).await?;
        if !work::may_undo(row.state, row.was_applied) {
            return Err(Fail::Overtaken);
        }
        let preview = match self.preview(&row).await {
            Ok(preview) => preview,
            Err(work::FlushEnd::Diverged) => {
                let step = Step::new(row.state, Event::DivergenceFound).attempt(row.attempt);
                return self.step(row.run, step.outcome(Code::TargetDiverged)).await.map(drop);
            }
            Err(_end) => return Err(Fail::Denied),
        };
        if preview.writes.is_empty() {
            return Err(Fail::Denied);
        }
        let step = Step::new(row.state, Event::RollbackStarted).attempt(row.attempt);
        self.step(row.run, step).await?;
        let row = self.held(row.run, row.attempt).await?;
        self.roll_back(&row, Some(preview.writes)).await
    }

    /// Restores the prefix of a plan that cannot be gone on with.
    pub(super) async fn restore_prefix(&self, row: &Row) -> Done<()> {
        let preview = match self.preview(row).await {
            Ok(preview) => preview,
            Err(end) => return self.rollback_ended(row, end).await,
        };
        if preview.conflicts == 0 {
            return self.roll_back(row, Some(preview.writes)).await;
        }
        let step = Step::new(State::RollingBack, Event::RollbackFailed).attempt(row.attempt);
        self.step(row.run, step.outcome(Code::RollbackConflict)).await.map(drop)
    }

    /// Restores a run that is *rolling back*.
    pub(super) async fn roll_back(&self, row: &Row, writes: Option<Vec<Write>>) -> Done<()> {
        let writes = match writes {
            Some(writes) => writes,
            None => match self.preview(row).await {
                Ok(preview) => preview.writes,
                Err(end) => return self.rollback_ended(row, end).await,
            },
        };
        let id = FlushId { run: row.run, generation: row.generation + 1, batch: 0 };
        match self.flush(row, id, Kind::Rollback, &writes).await {
            Ok(()) => self.rolled_back_step(row).await,
            Err(end) => self.rollback_ended(row, end).await,
        }
    }

    pub(super) async fn rolled_back_step(&self, row: &Row) -> Done<()> {
        let event = work::undo_committed(row.generation);
        self.step(row.run, Step::new(State::RollingBack, event).attempt(row.attempt)).await.map(drop)
    }

    async fn rollback_ended(&self, row: &Row, end: work::FlushEnd) -> Done<()> {
        let failed = row.outcome == Some(Code::VerifyFailed) && !self.is(Mutation::ForgetsWhatWasWrong);
        let must_end = !row.was_applied || failed;
        let Some(event) = work::undo_ended(end, row.generation, must_end) else { return Ok(()) };
        self.step(row.run, Step::new(State::RollingBack, event).attempt(row.attempt)).await.map(drop)
    }
}
