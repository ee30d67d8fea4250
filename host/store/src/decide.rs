//! Deciding about a run: everything that a decision stands on is read in the transaction that writes what
//! follows from it. Approving, withdrawing and throwing a switch are serialised with it: they write the
//! rows that it holds.

use mendwright_core::policy::Effect;
use mendwright_core::run::State;
use mendwright_crash::{Point, reached};

use crate::around::{self, Surroundings};
use crate::audit::{self, Fact};
use crate::db::{Conn, dialect, query};
use crate::error::{Error, Result};
use crate::lease::clock;
use crate::run::{RunNumber, RunRecord, read};
use crate::store::Store;
use crate::switches;
use crate::transition::{Step, move_run};

/// Votes on one plan. Nobody needs more; somebody might try.
pub const VOTES_MAX: usize = 200;

/// What somebody signed about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVote {
    /// 1, 2, 3 … of this run.
    pub seq: u64,
    /// As it came.
    pub envelope: String,
    /// When it came, by the database's clock.
    pub at_us: i64,
}

/// Everything that the store knows for a decision about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The run, locked.
    pub run: RunRecord,
    /// What people signed about its plan, in order.
    pub votes: Vec<StoredVote>,
    /// The rest.
    pub around: Surroundings,
}

/// An answer of policy, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// When in the run's life it was asked: `before_planning`, `with_plan`, `at_apply`.
    pub stage: String,
    /// `allow`, `deny`, `needs_approval`.
    pub effect: String,
    /// The whole answer, as JSON.
    pub decision: String,
    /// What it stood on, as JSON.
    pub facts: String,
}

/// A decision of earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDecision {
    /// 1, 2, 3 … of this run.
    pub seq: u64,
    /// When it was made.
    pub at_us: i64,
    /// The answer.
    pub decision: Decision,
}

/// What follows from what is known.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The answer of policy, where it was asked.
    pub decision: Option<Decision>,
    /// How the run moves, one step after the other.
    pub steps: Vec<Step>,
    /// What else is to be told of it.
    pub facts: Vec<Fact>,
}

impl Store {
    /// Decides about a run, in one transaction. `vote` is counted among its votes and kept, unless `judge`
    /// refuses. Where it refuses, nothing is written.
    ///
    /// # Errors
    /// [`Error::RunUnknown`], [`Error::VotesFull`], and what a step can fail with. The inner one is the
    /// judge's.
    pub async fn decide<T, E>(
        &self,
        run: RunNumber,
        vote: Option<&str>,
        judge: impl FnOnce(&Known) -> std::result::Result<(Verdict, T), E>,
    ) -> Result<std::result::Result<T, E>> {
        let failed = self.failed("deciding about a run");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let lock = dialect::for_update(self.engine());
        let held = query(format!("SELECT number FROM runs WHERE number = $1{lock}")).bind(run.column());
        if held.optional(tx.conn()).await.map_err(failed)?.is_none() {
            read(tx.conn(), run, failed).await?;
        }
        if let Some(envelope) = vote {
            add_vote(tx.conn(), run, envelope, failed).await?;
        }
        match judged(tx.conn(), run, failed, judge).await? {
            Ok((_, value)) => {
                reached(Point::DecisionUncommitted);
                tx.commit().await.map_err(failed)?;
                reached(Point::Decided);
                Ok(Ok(value))
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// What a decision about a run of this job, for this tenant, on this target would stand on now.
    ///
    /// # Errors
    /// As any read.
    pub async fn surroundings(&self, tenant: &str, job: &str, target: Option<&str>) -> Result<Surroundings> {
        let failed = self.failed("looking at what a decision stands on");
        let mut reader = self.reader().await?;
        around::look(reader.conn(), (tenant, job, target), failed).await
    }

    /// What people signed about a run's plan, in order.
    ///
    /// # Errors
    /// As any read.
    pub async fn votes(&self, run: RunNumber) -> Result<Vec<StoredVote>> {
        let mut reader = self.reader().await?;
        votes(reader.conn(), run, self.failed("reading votes")).await
    }

    /// What policy answered about a run, in order.
    ///
    /// # Errors
    /// As any read.
    pub async fn decisions(&self, run: RunNumber) -> Result<Vec<StoredDecision>> {
        let failed = self.failed("reading decisions");
        let mut reader = self.reader().await?;
        let rows =
            query("SELECT seq, at_us, stage, effect, decision, facts FROM decisions WHERE run = $1 ORDER BY seq")
                .bind(run.column())
                .all(reader.conn())
                .await
                .map_err(failed)?;
        let read = |row: &crate::db::Row| -> sqlx::Result<StoredDecision> {
            Ok(StoredDecision {
                seq: row.try_get::<i64>("seq")?.unsigned_abs(),
                at_us: row.try_get("at_us")?,
                decision: Decision {
                    stage: row.try_get("stage")?,
                    effect: row.try_get("effect")?,
                    decision: row.try_get("decision")?,
                    facts: row.try_get("facts")?,
                },
            })
        };
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }
}

/// Puts a run, which the transaction holds, before `judge`, and writes what follows: where the run stands
/// then, if it moved.
pub(crate) async fn judged<T, E>(
    mut conn: Conn<'_>,
    run: RunNumber,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
    judge: impl FnOnce(&Known) -> std::result::Result<(Verdict, T), E>,
) -> Result<std::result::Result<(Option<State>, T), E>> {
    let record = read(conn.reborrow(), run, failed).await?;
    switches::hold(conn.reborrow(), failed).await?;
    let about = (record.tenant.as_str(), record.job_name.as_str(), record.target.as_deref());
    let around = around::look(conn.reborrow(), about, failed).await?;
    let known = Known { votes: votes(conn.reborrow(), run, failed).await?, run: record, around };
    let (verdict, value) = match judge(&known) {
        Ok(judged) => judged,
        Err(refused) => return Ok(Err(refused)),
    };
    let state = write(conn, &known, verdict, failed).await?;
    Ok(Ok((state, value)))
}

async fn add_vote(
    mut conn: Conn<'_>,
    run: RunNumber,
    envelope: &str,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    let now_us = clock(conn.reborrow(), failed).await?;
    let n = query("SELECT count(*) FROM votes WHERE run = $1")
        .bind(run.column())
        .scalar::<i64>(conn.reborrow())
        .await
        .map_err(failed)?;
    if n.is_none_or(|n| usize::try_from(n).unwrap_or(usize::MAX) >= VOTES_MAX) {
        return Err(Error::VotesFull { run });
    }
    query(
        "INSERT INTO votes (run, seq, envelope, at_us) \
         SELECT $1, coalesce(max(seq), 0) + 1, $2, $3 FROM votes WHERE run = $1",
    )
    .bind(run.column())
    .bind(envelope)
    .bind(now_us)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn votes(
    conn: Conn<'_>,
    run: RunNumber,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Vec<StoredVote>> {
    let rows = query("SELECT seq, envelope, at_us FROM votes WHERE run = $1 ORDER BY seq")
        .bind(run.column())
        .all(conn)
        .await
        .map_err(failed)?;
    let read = |row: &crate::db::Row| -> sqlx::Result<StoredVote> {
        Ok(StoredVote {
            seq: row.try_get::<i64>("seq")?.unsigned_abs(),
            envelope: row.try_get("envelope")?,
            at_us: row.try_get("at_us")?,
        })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// Writes down a verdict: the answer, the steps, and what is to be told of them.
async fn write(
    mut conn: Conn<'_>,
    known: &Known,
    verdict: Verdict,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Option<State>> {
    let (run, now_us) = (known.run.number, known.around.now_us);
    let Verdict { decision, steps, facts } = verdict;
    if let Some(decision) = decision {
        let Decision { stage, effect, decision, facts } = &decision;
        query(
            "INSERT INTO decisions (run, seq, at_us, stage, effect, decision, facts) \
             SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6 FROM decisions WHERE run = $1",
        )
        .bind(run.column())
        .bind(now_us)
        .bind(stage.as_str())
        .bind(effect.as_str())
        .bind(decision.as_str())
        .bind(facts.as_str())
        .execute(conn.reborrow())
        .await
        .map_err(failed)?;
        let mut decided = decided(stage, effect, decision, now_us).run(run).tenant(&known.run.tenant);
        // The same refusal again and again is one entry that counts. What was allowed was allowed then.
        if effect != Effect::Allow.word() {
            decided = decided.once(format!("decision:{}:{stage}:{effect}:{decision}", run.get()));
        }
        audit::record(conn.reborrow(), decided, failed).await?;
    }
    let mut state = None;
    if !steps.is_empty() {
        state = Some(move_run(conn.reborrow(), run, &steps, failed).await?);
    }
    for fact in facts {
        audit::record(conn.reborrow(), fact.run(run).tenant(&known.run.tenant), failed).await?;
    }
    Ok(state)
}

/// What the audit log says of an answer.
pub(crate) fn decided(stage: &str, effect: &str, decision: &str, now_us: i64) -> Fact {
    Fact::new("policy.decided", "host", now_us).say("stage", stage).say("effect", effect).say("decision", decision)
}

#[cfg(test)]
mod tests {
    use mendwright_core::run::Event;

    use super::*;
    use crate::testing::{NOW, opened, planned};

    fn decision() -> Decision {
        let text = |text: &str| text.to_owned();
        Decision { stage: text("at_apply"), effect: text("allow"), decision: text("{}"), facts: text("{}") }
    }

    #[tokio::test]
    async fn a_verdict_is_written_whole_or_not_at_all() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 1).await;
        let refused = store.decide(run, Some("vote"), |_| Err::<(Verdict, ()), _>("no")).await.unwrap();
        assert_eq!(refused, Err("no"));
        assert!(store.votes(run).await.unwrap().is_empty(), "a refused vote is not kept");
        let step = |event| Step::new(State::Planned, event, NOW);
        let twice = |_: &Known| {
            let steps = vec![step(Event::ApprovalsAsked), step(Event::PersonCancelled)];
            Ok::<_, ()>((Verdict { decision: Some(decision()), steps, facts: vec![] }, ()))
        };
        assert!(store.decide(run, None, twice).await.is_err(), "the second step cannot be");
        assert!(store.decisions(run).await.unwrap().is_empty());
        assert_eq!(store.run(run).await.unwrap().state, State::Planned);
        let seen = store
            .decide(run, Some("vote"), |known| {
                let verdict =
                    Verdict { decision: Some(decision()), steps: vec![step(Event::ApprovalsAsked)], facts: vec![] };
                Ok::<_, ()>((verdict, known.votes.len()))
            })
            .await
            .unwrap();
        assert_eq!(seen, Ok(1));
        assert_eq!(store.votes(run).await.unwrap()[0].envelope, "vote");
        assert_eq!(store.decisions(run).await.unwrap()[0].decision, decision());
        assert_eq!(store.run(run).await.unwrap().state, State::AwaitingApproval);
    }

    /// Whoever counts approvals again looks for the answer of that moment.
    #[tokio::test]
    async fn each_yes_is_an_entry_of_its_own_and_the_same_no_is_counted() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 1).await;
        for effect in ["allow", "deny", "allow", "deny"] {
            let decision = Decision { effect: effect.to_owned(), ..decision() };
            let judge = |_: &Known| Ok::<_, ()>((Verdict { decision: Some(decision), ..Verdict::default() }, ()));
            store.decide(run, None, judge).await.unwrap().unwrap();
        }
        let told = store.audit_entries(None, 100).await.unwrap();
        let told = told.iter().filter(|entry| entry.kind == "policy.decided");
        let told: Vec<_> = told.map(|entry| (entry.body.contains("\"allow\""), entry.times)).collect();
        assert_eq!(told, [(true, 1), (false, 2), (true, 1)]);
    }

    #[tokio::test]
    async fn recent_applies_of_a_tenant_on_a_target_are_known_across_restarts() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 1).await;
        let now_us = store.clock_us().await.unwrap();
        store.transition(run, State::Planned, Event::ApplyStarted, now_us, "").await.unwrap();
        store.transition(run, State::Applying, Event::FlushCommitted, now_us, "").await.unwrap();
        let around = store.surroundings("Germany", "any", Some("chinook")).await.unwrap();
        assert_eq!(around.applied_at_us, [now_us]);
        for (tenant, target) in [("France", "chinook"), ("Germany", "other")] {
            assert!(store.surroundings(tenant, "any", Some(target)).await.unwrap().applied_at_us.is_empty());
        }
    }
}
