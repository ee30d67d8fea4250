//! What is not settled: runs that somebody works on, that wait, or that only a person can go on with.

use crate::db::query;
use crate::error::Result;
use crate::run::{RunNumber, RunRecord, from_row, select};
use crate::store::Store;

/// Something that was written into the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Counts up; with gaps where a transaction was rolled back.
    pub id: u64,
    /// When it happened, in microseconds since 1970.
    pub at_us: i64,
    /// What: `run.begun`, `switch.thrown`, ….
    pub kind: String,
    /// About which run.
    pub run: Option<RunNumber>,
    /// About which tenant.
    pub tenant: Option<String>,
    /// `person:alice`, `host`.
    pub actor: String,
    /// What else there is to say, as JSON.
    pub body: String,
    /// How often it was told.
    pub times: u64,
    /// Its place in the log's tree; absent until the sequencer gave it one.
    pub leaf: Option<u64>,
}

impl Store {
    /// Runs that are in flight, have a task, wait for approval or need a person; the oldest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn unsettled(&self, limit: u32) -> Result<Vec<RunRecord>> {
        let mut reader = self.reader().await?;
        let rows = query(select(
            "WHERE task IS NOT NULL OR state IN ('awaiting_approval', 'stuck', 'diverged') ORDER BY number LIMIT $1",
        ))
        .bind(i64::from(limit))
        .all(reader.conn())
        .await
        .map_err(self.failed("looking at what is not settled"))?;
        rows.iter().map(from_row).collect()
    }

    /// Plans that nobody asked to apply before they became too old, the oldest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn overdue_plans(&self, now_us: i64, limit: u32) -> Result<Vec<RunRecord>> {
        let mut reader = self.reader().await?;
        let rows = query(self.timed(&select(
            "WHERE state IN ('planned', 'awaiting_approval', 'approved') AND expires_at_us < $1 AND {free} \
             ORDER BY number LIMIT $2",
        )))
        .bind(now_us)
        .bind(i64::from(limit))
        .all(reader.conn())
        .await
        .map_err(self.failed("looking for plans that are too old"))?;
        rows.iter().map(from_row).collect()
    }

    /// The newest entries of the audit log before `before`, the newest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn audit_entries(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>> {
        let failed = self.failed("reading the audit log");
        let mut reader = self.reader().await?;
        let rows = query(
            "SELECT id, at_us, kind, run, tenant, actor, body, times, leaf FROM audit_entries \
             WHERE ($1 IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
        )
        .bind(before.map(|id| i64::try_from(id).unwrap_or(i64::MAX)))
        .bind(i64::from(limit))
        .all(reader.conn())
        .await
        .map_err(failed)?;
        let read = |row: &crate::db::Row| -> sqlx::Result<AuditEntry> {
            Ok(AuditEntry {
                id: row.try_get::<i64>("id")?.unsigned_abs(),
                at_us: row.try_get("at_us")?,
                kind: row.try_get("kind")?,
                run: row.try_get::<Option<i64>>("run")?.map(|run| RunNumber::new(run.unsigned_abs())),
                tenant: row.try_get("tenant")?,
                actor: row.try_get("actor")?,
                body: row.try_get("body")?,
                times: row.try_get::<i64>("times")?.unsigned_abs(),
                leaf: row.try_get::<Option<i64>>("leaf")?.map(i64::unsigned_abs),
            })
        };
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }
}

#[cfg(test)]
mod tests {
    use mendwright_core::run::{Event, State};
    use mendwright_core::task::Task;

    use crate::testing::{NOW, opened, planned, tamper};

    #[tokio::test]
    async fn what_is_asked_for_or_stuck_is_not_settled_and_a_plan_at_rest_is() {
        let (_dir, store) = opened().await;
        let (asked, _rests) = (planned(&store, "Germany", 1).await, planned(&store, "France", 1).await);
        assert!(store.unsettled(9).await.unwrap().is_empty());
        let run = store.run(asked).await.unwrap();
        store.ask(&run, Task::Apply, "person:alice", Some("digest")).await.unwrap();
        let found = store.unsettled(9).await.unwrap();
        assert_eq!(found.iter().map(|run| run.number).collect::<Vec<_>>(), [asked]);
    }

    #[tokio::test]
    async fn a_plan_is_overdue_when_its_time_is_over_and_nobody_works_on_it() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 1).await;
        tamper(&store, &format!("UPDATE runs SET expires_at_us = {NOW}")).await.unwrap();
        assert!(store.overdue_plans(NOW, 9).await.unwrap().is_empty());
        let lease = store.claim(run).await.unwrap();
        assert!(store.overdue_plans(NOW + 1, 9).await.unwrap().is_empty());
        store.release(lease).await.unwrap();
        assert_eq!(store.overdue_plans(NOW + 1, 9).await.unwrap().len(), 1);
        store.transition(run, State::Planned, Event::PlanExpired, NOW + 1, "").await.unwrap();
        assert!(store.overdue_plans(NOW + 1, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn entries_are_paged_from_the_newest() {
        let (_dir, store) = opened().await;
        for _ in 0..3 {
            planned(&store, "Germany", 1).await;
        }
        let all = store.audit_entries(None, 100).await.unwrap();
        assert!(all.len() >= 3 && all.is_sorted_by(|a, b| a.id > b.id));
        let page = store.audit_entries(Some(all[0].id), 1).await.unwrap();
        assert_eq!(page, all[1..2]);
    }
}
