//! Saving a plan, together with what its run becomes by it.

use std::borrow::Borrow;
use std::sync::Arc;

use mendwright_core::commitment::Salt;
use mendwright_core::plan::document::Document;
use mendwright_core::plan::{BoundChange, Digest, Header};
use mendwright_core::run::{Event, State};
use mendwright_crash::{Point, reached};

use crate::db::{Conn, Param, Query, Row, insert, query};
use crate::decide::{self, Known, Verdict};
use crate::error::{Error, Result};
use crate::log::{self, LogLine};
use crate::run::{RunNumber, read};
use crate::store::Store;
use crate::transition::{Step, move_run};
use crate::verify::{Tally, disagreement};

/// Changes in one statement. Measured: fewer cost round trips to SQLite's thread, more cost the
/// search for each parameter by its name.
const BATCH_ROWS: usize = 64;

/// A plan that a dry run made.
#[derive(Clone, Copy, Debug)]
pub struct NewPlan<'a> {
    /// What the digest covers.
    pub header: &'a Header,
    /// What people see, without its changes.
    pub document: &'a Document,
    /// What masked values are committed with; kept apart from the plan.
    pub salt: &'a Salt,
    /// What the job said.
    pub log: &'a [LogLine],
    /// Until when it may be applied, in microseconds since 1970.
    pub expires_at_us: i64,
    /// Now.
    pub now_us: i64,
}

/// A plan as it is stored. What [`Store::verify_plan`] returns is also what was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPlan {
    /// What the digest covers.
    pub header: Header,
    /// What people see, without its changes.
    pub document: Document,
    /// What people approve.
    pub digest: Digest,
}

impl Store {
    /// Saves the plan of a run that is planning, and moves the run: to planned, or to nothing-to-do if
    /// there are no changes. A planned run is put before `judge`, and what follows from its verdict is
    /// written too. All in one transaction: no plan is ever seen that nobody judged. `changes` come in
    /// the plan's order and are never held together.
    ///
    /// # Errors
    /// [`Error::Overtaken`] where the run is not planning, [`Error::Bug`] where header, document,
    /// changes and run contradict each other; the inner one is the judge's. Nothing is saved then.
    pub async fn save_plan<I, E>(
        &self,
        run: RunNumber,
        plan: NewPlan<'_>,
        changes: I,
        judge: impl FnOnce(&Known) -> std::result::Result<Verdict, E>,
    ) -> Result<std::result::Result<State, E>>
    where
        I: IntoIterator<IntoIter: Send, Item: Borrow<BoundChange> + Send>,
    {
        let failed = self.failed("saving a plan");
        let bug = |what: String| Error::Bug(format!("the plan of run {run} contradicts itself: {what}"));
        let NewPlan { header, document, salt, log, expires_at_us, now_us } = plan;
        let changes = changes.into_iter();
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let record = read(tx.conn(), run, failed).await?;
        let event = if header.changes_count == "0" { Event::NoChangesFound } else { Event::ChangesFound };
        if record.state != State::Planning {
            return Err(Error::Overtaken { run, expected: State::Planning, found: record.state, event });
        }
        if let Some(what) = disagreement(&record, header, document) {
            return Err(bug(what));
        }
        let digest = header.digest();
        query("INSERT INTO plans (run, digest, header, document) VALUES ($1, $2, $3, $4)")
            .bind(run.column())
            .bind(digest.to_string())
            .bind(json(header)?)
            .bind(json(document)?)
            .execute(tx.conn())
            .await
            .map_err(failed)?;
        let tally = insert_changes(tx.conn(), run, changes, failed).await?;
        tally.finish(header, document).map_err(bug)?;
        query("INSERT INTO plan_salts (run, salt) VALUES ($1, $2)")
            .bind(run.column())
            .bind(hex::encode(salt.expose()))
            .execute(tx.conn())
            .await
            .map_err(failed)?;
        log::write(tx.conn(), run, log, failed).await?;
        query("UPDATE runs SET plan_digest = $1, expires_at_us = $2, target = $3 WHERE number = $4")
            .bind(digest.to_string())
            .bind(expires_at_us)
            .bind(document.written_database())
            .bind(run.column())
            .execute(tx.conn())
            .await
            .map_err(failed)?;
        reached(Point::PlanInserted);
        let mut state = move_run(tx.conn(), run, &[Step::new(State::Planning, event, now_us)], failed).await?;
        if state == State::Planned {
            match decide::judged(tx.conn(), run, failed, |known| judge(known).map(|verdict| (verdict, ()))).await? {
                Ok((moved, ())) => state = moved.unwrap_or(state),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        reached(Point::PlanUncommitted);
        tx.commit().await.map_err(failed)?;
        reached(Point::PlanSaved);
        Ok(Ok(state))
    }

    /// The plan of a run, as it is stored: for showing, not for applying.
    ///
    /// # Errors
    /// [`Error::NoPlan`], [`Error::RunUnknown`], [`Error::Corrupt`].
    pub async fn load_plan(&self, run: RunNumber) -> Result<StoredPlan> {
        let failed = self.failed("reading a plan");
        let mut reader = self.reader().await?;
        read(reader.conn(), run, failed).await?;
        read_plan(reader.conn(), run, failed).await?.into_plan(run)
    }

    /// The salt of a run's plan, for comparing today's masked values with it.
    ///
    /// # Errors
    /// [`Error::NoPlan`], [`Error::Corrupt`].
    pub async fn salt(&self, run: RunNumber) -> Result<Salt> {
        let failed = self.failed("reading a plan's salt");
        let mut reader = self.reader().await?;
        let digits = query("SELECT salt FROM plan_salts WHERE run = $1")
            .bind(run.column())
            .scalar::<String>(reader.conn())
            .await
            .map_err(failed)?;
        let digits = digits.ok_or(Error::NoPlan { run })?;
        // What the column holds is never part of a message: it is a secret.
        let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Salt::new).ok_or_else(|| Error::corrupt("plan_salts", "salt", run, "it is not 32 bytes in hex"))
    }
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Bug(format!("a plan cannot be written as JSON: {e}")))
}

/// The rows of a few changes, which are counted and hashed on the way.
pub(crate) fn change_rows(run: RunNumber, changes: &[BoundChange], tally: &mut Tally) -> Result<Vec<Query>> {
    let mut rows: Vec<[Param; 6]> = Vec::with_capacity(changes.len());
    for (seq, change) in (1..).zip(changes) {
        let leaf = change.leaf();
        tally
            .push(change, &leaf)
            .map_err(|what| Error::Bug(format!("the plan of run {run} contradicts itself: {what}")))?;
        let texts = [change.resource.clone(), change.key_text(), leaf, change.reason.clone()].map(Param::from);
        let [resource, key_text, leaf, reason] = texts;
        rows.push([run.column().into(), seq.into(), resource, key_text, leaf, reason]);
    }
    let into = "plan_changes (run, seq, resource, key_text, leaf, reason)";
    Ok(rows.chunks(BATCH_ROWS).map(|rows| insert(into, rows.iter().cloned(), "")).collect())
}

/// A row of `plan_changes` that is about to be written.
struct NewRow {
    seq: i64,
    resource: String,
    key_text: String,
    leaf: String,
    reason: String,
}

/// Writes the changes in batches, and counts and hashes them on the way.
async fn insert_changes<I>(
    mut conn: Conn<'_>,
    run: RunNumber,
    mut changes: I,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Tally>
where
    I: Iterator<Item: Borrow<BoundChange>> + Send,
{
    let whole: Arc<str> = insert_statement(BATCH_ROWS).into();
    let mut tally = Tally::default();
    let mut seq = 0;
    loop {
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        for change in changes.by_ref().take(BATCH_ROWS) {
            let change: &BoundChange = change.borrow();
            let leaf = change.leaf();
            tally
                .push(change, &leaf)
                .map_err(|what| Error::Bug(format!("the plan of run {run} contradicts itself: {what}")))?;
            seq += 1;
            let (resource, key_text) = (change.resource.clone(), change.key_text());
            batch.push(NewRow { seq, resource, key_text, leaf, reason: change.reason.clone() });
        }
        if batch.is_empty() {
            return Ok(tally);
        }
        let sql = if batch.len() == BATCH_ROWS { whole.clone() } else { insert_statement(batch.len()).into() };
        let mut insert = query(sql).bind(run.column());
        for NewRow { seq, resource, key_text, leaf, reason } in batch {
            insert = insert.bind(seq).bind(resource).bind(key_text).bind(leaf).bind(reason);
        }
        insert.execute(conn.reborrow()).await.map_err(failed)?;
    }
}

/// `$1` is the run, then five parameters for each row.
fn insert_statement(n_rows: usize) -> String {
    let mut sql = "INSERT INTO plan_changes (run, seq, resource, key_text, leaf, reason) VALUES ".to_owned();
    for row in 0..n_rows {
        let first = 2 + row * 5;
        let comma = if row == 0 { "" } else { ", " };
        let [a, b, c, d, e] = [first, first + 1, first + 2, first + 3, first + 4];
        sql.push_str(&format!("{comma}($1, ${a}, ${b}, ${c}, ${d}, ${e})"));
    }
    sql
}

/// A row of `plans`, as it is.
pub(crate) struct PlanRow {
    pub(crate) digest: String,
    pub(crate) header: String,
    pub(crate) document: String,
}

impl PlanRow {
    fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { digest: row.try_get("digest")?, header: row.try_get("header")?, document: row.try_get("document")? })
    }

    /// The one door from rows to plans.
    pub(crate) fn into_plan(self, run: RunNumber) -> Result<StoredPlan> {
        let Self { digest, header, document } = self;
        let nonsense =
            |column: &'static str, detail: &dyn ToString| Error::corrupt("plans", column, run, detail.to_string());
        Ok(StoredPlan {
            header: serde_json::from_str(&header).map_err(|e| nonsense("header", &e))?,
            document: serde_json::from_str(&document).map_err(|e| nonsense("document", &e))?,
            digest: digest.parse().map_err(|e| nonsense("digest", &e))?,
        })
    }
}

/// The row of a run's plan.
pub(crate) async fn read_plan(
    conn: Conn<'_>,
    run: RunNumber,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<PlanRow> {
    let row = query("SELECT digest, header, document FROM plans WHERE run = $1")
        .bind(run.column())
        .optional(conn)
        .await
        .map_err(failed)?;
    PlanRow::read(&row.ok_or(Error::NoPlan { run })?).map_err(failed)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;
    use mendwright_core::code::Code;
    use mendwright_core::port::LogLevel;

    use super::*;
    use crate::testing::{NOW, change, changes, document, header, opened, planned, planning, save, unjudged};

    #[tokio::test]
    async fn a_plan_comes_back_as_it_was_made_and_moves_its_run() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        let log = [LogLine { level: LogLevel::Info, text: "hello".into() }];
        assert_eq!(save(&store, &run, &changes(130), &log).await.unwrap(), State::Planned);
        let plan = store.load_plan(run.number).await.unwrap();
        assert_eq!(plan.header, header(&run, &changes(130)));
        assert_eq!(plan.document, document(&run, &plan.header));
        let after = store.run(run.number).await.unwrap();
        assert_eq!((after.state, after.plan_digest), (State::Planned, Some(plan.digest)));
        assert_eq!(after.expires_at_us, Some(NOW + 1));
        assert_eq!(store.log(run.number).await.unwrap(), log);
        assert_eq!(store.events(run.number).await.unwrap()[0].event, Event::ChangesFound);
    }

    #[tokio::test]
    async fn a_plan_is_judged_in_the_transaction_that_saves_it() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        let header = header(&run, &changes(3));
        let document = document(&run, &header);
        let salt = Salt::new([9; 32]);
        let plan =
            NewPlan { header: &header, document: &document, salt: &salt, log: &[], expires_at_us: NOW, now_us: NOW };
        let refused = store.save_plan(run.number, plan, changes(3), |_| Err::<Verdict, _>("no")).await.unwrap();
        assert_eq!(refused, Err("no"));
        assert_eq!(store.run(run.number).await.unwrap(), run, "nothing of it is kept");
        let ask = |known: &Known| {
            assert_eq!((known.run.state, known.run.plan_digest), (State::Planned, Some(header.digest())));
            let step = Step::new(State::Planned, Event::ApprovalsAsked, NOW);
            Ok::<_, ()>(Verdict { steps: vec![step], ..Verdict::default() })
        };
        let state = store.save_plan(run.number, plan, changes(3), ask).await.unwrap();
        assert_eq!(state, Ok(State::AwaitingApproval));
    }

    #[tokio::test]
    async fn a_plan_without_changes_is_kept_and_there_is_nothing_to_do() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 0).await;
        assert_eq!(store.run(run).await.unwrap().state, State::NothingToDo);
        assert_eq!(store.load_plan(run).await.unwrap().document.summary, "done");
    }

    #[tokio::test]
    async fn the_salt_is_kept_apart_from_everything_that_people_see() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 2).await;
        assert_eq!(store.salt(run).await.unwrap().expose(), &[9; 32]);
        assert_eq!(store.salt(RunNumber::new(9)).await.unwrap_err().code(), Code::RunState);
        let plan = store.load_plan(run).await.unwrap();
        assert!(!format!("{plan:?}{}", json(&plan.document).unwrap()).contains(&"09".repeat(32)));
        crate::testing::tamper(&store, "UPDATE plan_salts SET salt = 'deadbeef'").await.unwrap();
        let error = store.salt(run).await.unwrap_err();
        assert!(error.code() == Code::StoreCorrupt && !error.to_string().contains("deadbeef"), "{error}");
    }

    #[tokio::test]
    async fn a_plan_that_contradicts_itself_is_not_saved_at_all() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        let header = header(&run, &changes(3));
        let document = document(&run, &header);
        let salt = Salt::new([9; 32]);
        let try_with = async |header: &Header, document: &Document, changes: Vec<BoundChange>| {
            let plan = NewPlan { header, document, salt: &salt, log: &[], expires_at_us: NOW, now_us: NOW };
            store.save_plan(run.number, plan, changes, unjudged).await.map(|Ok(state)| state)
        };
        let other = |edit: fn(&mut Document)| {
            let mut document = document.clone();
            edit(&mut document);
            document
        };
        let mut foreign = header.clone();
        foreign.tenant = "France".into();
        let wrong = [
            try_with(&header, &document, changes(2)).await,
            try_with(&header, &document, vec![change(1), change(3), change(2)]).await,
            try_with(&header, &document, vec![change(1), change(1), change(2)]).await,
            try_with(&header, &document, vec![change(1), change(2), change(4)]).await,
            try_with(&foreign, &document, changes(3)).await,
            try_with(&header, &other(|d| d.number = 9), changes(3)).await,
            try_with(&header, &other(|d| d.resources.clear()), changes(3)).await,
        ];
        for (i, result) in wrong.into_iter().enumerate() {
            assert_eq!(result.unwrap_err().code(), Code::Internal, "case {i}");
        }
        assert_eq!(store.run(run.number).await.unwrap(), run);
        assert!(matches!(store.load_plan(run.number).await, Err(Error::NoPlan { .. })));
        try_with(&header, &document, changes(3)).await.unwrap();
        let again = try_with(&header, &document, changes(3)).await;
        assert!(matches!(again, Err(Error::Overtaken { found: State::Planned, .. })), "{again:?}");
    }

    #[tokio::test]
    async fn saving_and_verifying_may_go_on_in_a_task_of_their_own() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        let task = tokio::spawn(async move {
            save(&store, &run, &changes(2), &[]).await.unwrap();
            store.verify_plan(run.number).await.unwrap();
        });
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_hundred_thousand_changes_make_the_round_trip() {
        const N: i64 = 100_000;
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        let all = changes(N);
        let header = header(&run, &all);
        let document = document(&run, &header);
        drop(all);
        let salt = Salt::new([9; 32]);
        let plan =
            NewPlan { header: &header, document: &document, salt: &salt, log: &[], expires_at_us: NOW, now_us: NOW };
        // Made one by one: the store asks for no more than it writes at once.
        let Ok(_) = store.save_plan(run.number, plan, (1..=N).map(change), unjudged).await.unwrap();
        assert_eq!(store.verify_plan(run.number).await.unwrap().header, header);
        let mut tally = Tally::default();
        let mut stream = store.stream_changes(run.number);
        while let Some(found) = stream.try_next().await.unwrap() {
            tally.push(&found.change, &found.change.leaf()).unwrap();
        }
        tally.finish(&header, &document).unwrap();
    }
}
