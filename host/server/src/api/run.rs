//! A run.

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::run::State;
use mendwright_store::{Asked, Leased, Outcome, RunNumber, RunRecord};
use serde::{Deserialize, Serialize};

use super::problem::ProblemBody;
use super::{FORMAT_VERSION, time, word};
use crate::engine::rfc3339;
use crate::view::problem::Problem;

/// A run: what `run list --json` says of it, and the rest. Without its parameters: they may hold what is
/// masked, and the plan's header shows them as far as they may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBody {
    /// The number that people type.
    pub number: u64,
    /// `run_018f…`.
    pub run: String,
    /// Where it stands.
    pub state: String,
    /// The job's name.
    pub job: String,
    /// The job's version.
    pub version: String,
    /// Whose data.
    pub tenant: String,
    /// `environment` of the host's configuration.
    pub environment: String,
    /// `person:alice`.
    pub requested_by: String,
    /// When it began.
    pub created_at: String,
    /// When it last moved.
    pub updated_at: String,
    /// Until when the plan may be applied.
    pub expires_at: Option<String>,
    /// When the target committed it first.
    pub applied_at: Option<String>,
    /// Until when it can be undone.
    pub undo_until: Option<String>,
    /// What people approve.
    pub digest: Option<Digest>,
    /// Why it is where it is.
    pub code: Option<Code>,
    /// The sentence that goes with the code.
    pub message: Option<String>,
    /// The run that this one repeats.
    pub parent: Option<u64>,
    /// The run that this one takes back in the job's own way.
    pub compensates: Option<u64>,
    /// The database that the plan writes.
    pub target: Option<String>,
    /// The only changes that were asked for; empty for all.
    pub only: Vec<String>,
    /// The time that the job sees.
    pub frozen_now: String,
    /// The seed that the job gets.
    pub frozen_seed: String,
    /// What ties what people sign to this run alone.
    pub nonce: String,
    /// How often a process took it: the fencing token.
    pub attempt: u64,
    /// How many undos the target's journal holds.
    pub undo_generation: u64,
    /// What is to be done with it.
    pub asked: Option<AskedBody>,
    /// Who works on it.
    pub leased: Option<LeasedBody>,
    /// What the last thing that a worker of this host did with it came to, where it did not come to good and
    /// the host still knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemBody>,
}

/// What is to be done with a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedBody {
    /// `plan`, `apply`, `undo`.
    pub task: String,
    /// Who asked.
    pub by: String,
    /// What they confirmed.
    pub confirm: Option<String>,
    /// Why they break the glass for it, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// Not before this time.
    pub due_at: String,
    /// How often it was tried.
    pub tries: u64,
}

/// Who works on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasedBody {
    /// The process.
    pub owner: String,
    /// Until when, unless it says again that it does.
    pub until: String,
}

impl From<&RunRecord> for RunBody {
    fn from(run: &RunRecord) -> Self {
        let run = run.clone();
        Self {
            number: run.number.get(),
            run: run.id.to_string(),
            state: run.state.word().to_owned(),
            job: run.job_name,
            version: run.job_version,
            tenant: run.tenant,
            environment: run.environment,
            requested_by: run.requested_by,
            created_at: rfc3339(run.created_at_us),
            updated_at: rfc3339(run.updated_at_us),
            expires_at: run.expires_at_us.map(rfc3339),
            applied_at: run.applied_at_us.map(rfc3339),
            undo_until: run.undo_until_us.map(rfc3339),
            digest: run.plan_digest,
            code: run.outcome.as_ref().map(|outcome| outcome.code),
            message: run.outcome.map(|outcome| outcome.message),
            parent: run.parent.map(RunNumber::get),
            compensates: run.compensates.map(RunNumber::get),
            target: run.target,
            only: run.only,
            frozen_now: rfc3339(run.frozen_now_us),
            frozen_seed: run.frozen_seed,
            nonce: run.nonce,
            attempt: run.attempt,
            undo_generation: run.undo_generation,
            asked: run.asked.map(|asked| AskedBody {
                task: asked.task.word().to_owned(),
                by: asked.by,
                confirm: asked.confirm,
                break_glass: asked.glass,
                due_at: rfc3339(asked.due_at_us),
                tries: asked.tries,
            }),
            leased: run.leased.map(|leased| LeasedBody { owner: leased.owner, until: rfc3339(leased.until_us) }),
            problem: None,
        }
    }
}

impl RunBody {
    /// Whether anybody works on it or will.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.asked.is_none() && self.state.parse::<State>().is_ok_and(|state| !state.is_in_flight())
    }

    /// The run as the engine knows it.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn record(self) -> Result<RunRecord, Problem> {
        let at = |text: Option<String>| text.as_deref().map(time).transpose();
        let asked = |asked: AskedBody| {
            Ok::<_, Problem>(Asked {
                task: word("a task", &asked.task)?,
                by: asked.by,
                confirm: asked.confirm,
                glass: asked.break_glass,
                due_at_us: time(&asked.due_at)?,
                tries: asked.tries,
            })
        };
        let leased =
            |leased: LeasedBody| Ok::<_, Problem>(Leased { owner: leased.owner, until_us: time(&leased.until)? });
        Ok(RunRecord {
            number: RunNumber::new(self.number),
            id: word("a run's id", &self.run)?,
            nonce: self.nonce,
            tenant: self.tenant,
            job_name: self.job,
            job_version: self.version,
            state: word("a run's state", &self.state)?,
            created_at_us: time(&self.created_at)?,
            updated_at_us: time(&self.updated_at)?,
            requested_by: self.requested_by,
            environment: self.environment,
            params: serde_json::Value::Null,
            only: self.only,
            frozen_now_us: time(&self.frozen_now)?,
            frozen_seed: self.frozen_seed,
            parent: self.parent.map(RunNumber::new),
            compensates: self.compensates.map(RunNumber::new),
            plan_digest: self.digest,
            target: self.target,
            attempt: self.attempt,
            undo_generation: self.undo_generation,
            outcome: self.code.zip(self.message).map(|(code, message)| Outcome { code, message }),
            expires_at_us: at(self.expires_at)?,
            applied_at_us: at(self.applied_at)?,
            undo_until_us: at(self.undo_until)?,
            asked: self.asked.map(asked).transpose()?,
            leased: self.leased.map(leased).transpose()?,
        })
    }
}

/// A run of a list, with what its plan comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedBody {
    /// The run.
    #[serde(flatten)]
    pub run: RunBody,
    /// Rows that its plan inserts; absent before there is one.
    pub inserts: Option<u64>,
    /// Rows that its plan updates.
    pub updates: Option<u64>,
    /// Rows that its plan deletes.
    pub deletes: Option<u64>,
}

/// Runs, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The page.
    pub runs: Vec<ListedBody>,
    /// `before` of the next page; absent on the last one.
    pub next: Option<u64>,
}

impl RunsBody {
    /// A page of at most `limit` runs.
    #[must_use]
    pub fn new(runs: Vec<ListedBody>, limit: u32) -> Self {
        let is_full = u32::try_from(runs.len()).unwrap_or(u32::MAX) >= limit;
        let next = runs.last().filter(|_| is_full).map(|last| last.run.number);
        Self { format_version: FORMAT_VERSION.to_owned(), runs, next }
    }
}

#[cfg(test)]
mod tests {
    use mendwright_core::id::Id;
    use mendwright_core::task::Task;

    use super::*;

    fn record() -> RunRecord {
        let text = |text: &str| text.to_owned();
        RunRecord {
            number: RunNumber::new(1042),
            id: Id::from_time(1, [7; 10]),
            nonce: text("00ff"),
            tenant: text("Germany"),
            job_name: text("reconcile_invoices"),
            job_version: text("1.0.0"),
            state: State::Refused,
            created_at_us: 1_764_000_000_123_456,
            updated_at_us: 1_764_000_000_123_457,
            requested_by: text("person:alice"),
            environment: text("test"),
            params: serde_json::Value::Null,
            only: vec![text("invoices/6")],
            frozen_now_us: 1,
            frozen_seed: text("5f1d"),
            parent: Some(RunNumber::new(1)),
            compensates: Some(RunNumber::new(2)),
            plan_digest: Some(Digest::of(b"x")),
            target: Some(text("chinook")),
            attempt: 3,
            undo_generation: 1,
            outcome: Some(Outcome { code: Code::PlanDrifted, message: text("it drifted") }),
            expires_at_us: Some(4),
            applied_at_us: Some(5),
            undo_until_us: Some(6),
            asked: Some(Asked { task: Task::Undo, by: text("a"), confirm: None, glass: None, due_at_us: 7, tries: 2 }),
            leased: Some(Leased { owner: text("1-ab"), until_us: 8 }),
        }
    }

    #[test]
    fn a_run_goes_there_and_back_whole() {
        let text = serde_json::to_string(&RunBody::from(&record())).unwrap();
        let body: RunBody = serde_json::from_str(&text).unwrap();
        assert!(!body.is_settled());
        assert_eq!(body.record().unwrap(), record());
        let wrong = RunBody { state: "asleep".to_owned(), ..RunBody::from(&record()) };
        assert_eq!(wrong.record().unwrap_err().code, Code::HostUnavailable);
    }
}
