//! Asking for a run to be worked on: a task that a worker claims.

use mendwright_core::task::Task;

use crate::db::query;
use crate::error::{Error, Result};
use crate::run::{RunRecord, read};
use crate::store::Store;

impl Store {
    /// Asks for something to be done with a run that stands still; the first free worker does it.
    ///
    /// # Errors
    /// [`Error::Leased`] where somebody works on it or has asked already, [`Error::Overtaken`] where it is
    /// in another state.
    pub async fn ask(&self, run: &RunRecord, task: Task, by: &str, confirm: Option<&str>) -> Result<()> {
        self.ask_breaking(run, task, by, confirm, None).await
    }

    /// The same by somebody who breaks the glass for it, with their reason.
    ///
    /// # Errors
    /// As [`Store::ask`].
    pub async fn ask_breaking(
        &self,
        run: &RunRecord,
        task: Task,
        by: &str,
        confirm: Option<&str>,
        glass: Option<&str>,
    ) -> Result<()> {
        let failed = self.failed("asking for a run to be worked on");
        let mut writer = self.writer().await?;
        let sql = self.timed(
            "UPDATE runs SET task = $1, task_by = $2, task_confirm = $3, task_glass = $4, due_at_us = {now}, tries = 0 \
             WHERE number = $5 AND state = $6 AND task IS NULL AND {free}",
        );
        let asked = query(sql)
            .bind(task.word())
            .bind(by)
            .bind(confirm)
            .bind(glass)
            .bind(run.number.column())
            .bind(run.state.word())
            .execute(writer.conn())
            .await
            .map_err(failed)?;
        if asked == 1 {
            return Ok(());
        }
        let found = read(writer.conn(), run.number, failed).await?;
        if found.state == run.state {
            return Err(Error::Leased { run: run.number });
        }
        Err(Error::Moved { run: run.number, expected: run.state, found: found.state })
    }
}
