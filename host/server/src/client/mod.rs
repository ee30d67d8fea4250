//! The other side of the API: what a command asks the running host, in the engine's own types.
//!
//! **Invariant**: a command prints the same bytes whether the host did it or the command itself: what comes
//! back is what the engine said there.

mod http;
mod people;
mod rollouts;
mod trust;
mod watch;

use std::path::{Path, PathBuf};

use ::http::Method;
use mendwright_core::code::Code;
use mendwright_core::plan::document::Document;
use mendwright_core::run::State;
use mendwright_core::switch::Switch;
use mendwright_store::{ChangeFilter, LogLine, RunEvent, RunFilter, RunNumber, RunRecord, StoredChange, Switches};

use crate::api::act::{AppliedBody, ApplyBody, CancelBody, ConfirmBody, PlanBody, UndoBody, UndoneBody};
use crate::api::lock::LocksBody;
use crate::api::look::{ChangesBody, EventBody, EventsBody, LineBody, LogBody};
use crate::api::run::{ListedBody, RunBody, RunsBody};
use crate::api::schedule::SchedulesBody;
use crate::api::status::StatusBody;
use crate::api::switch::{SwitchesBody, ThrowBody, ThrownBody};
use crate::api::tenant::TenantsBody;
use crate::api::vote::DecisionsBody;
use crate::engine::{Applied, PlanRequest, Undone};
use crate::view::problem::Problem;

use self::http::Request;
pub(crate) use self::watch::{Seen, Watch};

/// How long a request waits for a task before it is asked again.
const WAIT: &str = "10m";

/// A host that runs.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// The host that answers on this socket; `None` where none runs.
    ///
    /// # Errors
    /// One may run, and this user may not ask it.
    pub async fn connect(path: &Path) -> Result<Option<Self>, Problem> {
        match crate::serve::is_live(path).await {
            Ok(true) => Ok(Some(Self { path: path.to_owned() })),
            Ok(false) => Ok(None),
            Err(error) => {
                let message = format!("the host at {} cannot be asked: {error}", path.display());
                Err(Problem::new(Code::HostUnavailable, message)
                    .detail("only the user who started it may use its socket")
                    .detail("--no-host opens the control store directly"))
            }
        }
    }

    /// The run that a person means.
    pub(crate) async fn find(&self, reference: &str) -> Result<RunRecord, Problem> {
        self.run_body(Request::get(&["runs", reference])).await?.record()
    }

    async fn run_body(&self, request: Request) -> Result<RunBody, Problem> {
        self.ask(request).await
    }

    /// Runs, the newest first, each with what its plan comes to.
    pub(crate) async fn list(&self, filter: &RunFilter) -> Result<Vec<ListedBody>, Problem> {
        let request = Request::get(&["runs"])
            .query("tenant", filter.tenant.as_deref())
            .query("job", filter.job.as_deref())
            .query("state", filter.state.map(State::word))
            .query("applied_since", filter.applied_since_us.map(crate::engine::rfc3339).as_deref())
            .query("before", filter.before.map(|run| run.get().to_string()).as_deref())
            .query("limit", Some(&filter.limit.to_string()));
        Ok(self.ask::<RunsBody>(request).await?.runs)
    }

    /// A plan without its changes.
    pub(crate) async fn document(&self, run: RunNumber) -> Result<Document, Problem> {
        self.ask(Request::get(&["runs", &number(run), "plan"])).await
    }

    /// A page of a plan's changes.
    pub(crate) async fn changes(
        &self,
        run: RunNumber,
        filter: &ChangeFilter,
        (after, limit): (u64, u32),
    ) -> Result<Vec<StoredChange>, Problem> {
        let number = number(run);
        let path = ["runs", &number, "changes"];
        let request = Request::get(&path)
            .query("resource", filter.resource.as_deref())
            .query("key", filter.key.as_deref())
            .query("text", filter.text.as_deref())
            .query("after", Some(&after.to_string()))
            .query("limit", Some(&limit.to_string()));
        let page: ChangesBody = self.ask(request).await?;
        page.changes.into_iter().map(crate::api::look::ChangeBody::stored).collect()
    }

    /// Everything that happened to a run.
    pub(crate) async fn events(&self, run: RunNumber) -> Result<Vec<RunEvent>, Problem> {
        let found: EventsBody = self.ask(Request::get(&["runs", &number(run), "events"])).await?;
        found.events.into_iter().map(EventBody::event).collect()
    }

    /// What the job logged.
    pub(crate) async fn log(&self, run: RunNumber) -> Result<Vec<LogLine>, Problem> {
        let found: LogBody = self.ask(Request::get(&["runs", &number(run), "log"])).await?;
        Ok(found.lines.into_iter().map(LineBody::into).collect())
    }

    /// What policy answered about a run, in order.
    pub(crate) async fn decisions(&self, run: RunNumber) -> Result<DecisionsBody, Problem> {
        self.ask(Request::get(&["runs", &number(run), "decisions"])).await
    }

    /// The run that takes this one back in the job's own way.
    pub(crate) async fn compensation_of(&self, run: RunNumber) -> Result<Option<RunRecord>, Problem> {
        let found: Option<RunBody> = self.ask(Request::get(&["runs", &number(run), "compensation"])).await?;
        found.map(RunBody::record).transpose()
    }

    /// Has a run planned, and waits for it.
    pub(crate) async fn plan(&self, request: &PlanRequest) -> Result<RunRecord, Problem> {
        let begin = Request::new(Method::POST, &["runs"]).query("wait", Some(WAIT)).body(&PlanBody::from(request));
        let mut run = self.run_body(begin).await?;
        loop {
            if let Some(problem) = run.problem.take() {
                return Err(problem.into());
            }
            if run.is_settled() {
                return planned(run.record()?);
            }
            let number = run.number.to_string();
            run = self.run_body(Request::get(&["runs", &number]).query("wait", Some(WAIT))).await?;
        }
    }

    /// Has a plan applied, and waits for it.
    pub(crate) async fn apply(
        &self,
        run: RunNumber,
        confirm: &str,
        break_glass: Option<&str>,
    ) -> Result<Applied, Problem> {
        let body = ApplyBody { confirm: confirm.to_owned(), break_glass: break_glass.map(ToOwned::to_owned) };
        let number = number(run);
        let path = ["runs", &number, "apply"];
        let request = Request::new(Method::POST, &path).query("wait", Some(WAIT)).body(&body);
        self.ask_done::<AppliedBody>(request, run).await?.applied()
    }

    /// What undoing a run would restore.
    pub(crate) async fn undo_preview(&self, run: RunNumber) -> Result<UndoBody, Problem> {
        self.ask(Request::get(&["runs", &number(run), "undo"])).await
    }

    /// Has a run undone, and waits for it.
    pub(crate) async fn undo(&self, run: RunNumber, confirm: &str) -> Result<Undone, Problem> {
        let body = ConfirmBody { confirm: confirm.to_owned() };
        let number = number(run);
        let path = ["runs", &number, "undo"];
        let request = Request::new(Method::POST, &path).query("wait", Some(WAIT)).body(&body);
        self.ask_done::<UndoneBody>(request, run).await?.undone()
    }

    /// Calls a run off.
    pub(crate) async fn cancel(&self, run: RunNumber, reason: &str) -> Result<RunRecord, Problem> {
        let body = CancelBody { reason: reason.to_owned() };
        self.run_body(Request::new(Method::POST, &["runs", &number(run), "cancel"]).body(&body)).await?.record()
    }

    /// How switches stand.
    pub(crate) async fn switches(&self) -> Result<Switches, Problem> {
        self.ask::<SwitchesBody>(Request::get(&["switches"])).await?.switches()
    }

    /// Throws a switch or puts it back.
    pub(crate) async fn throw(&self, switch: &Switch, expires_in: Option<&str>) -> Result<ThrownBody, Problem> {
        let body = ThrowBody {
            is_on: switch.is_on,
            reason: switch.reason.clone(),
            expires_in: expires_in.map(ToOwned::to_owned),
            running: switch.running,
        };
        let scope = switch.scope.to_string();
        self.ask(Request::new(Method::PUT, &["switches", switch.kind.word(), &scope]).body(&body)).await
    }

    /// Who holds a target's locks, and who waits for them.
    pub(crate) async fn locks(&self) -> Result<LocksBody, Problem> {
        self.ask(Request::get(&["locks"])).await
    }

    /// What is planned by the clock.
    pub(crate) async fn schedules(&self) -> Result<SchedulesBody, Problem> {
        self.ask(Request::get(&["schedules"])).await
    }

    /// Whose data there is.
    pub(crate) async fn tenants(&self) -> Result<TenantsBody, Problem> {
        self.ask(Request::get(&["tenants"])).await
    }

    /// The host, the switches, and what is not settled.
    pub(crate) async fn status(&self) -> Result<StatusBody, Problem> {
        self.ask(Request::get(&["status"])).await
    }

    /// What happened to a run and happens, until nobody works on it.
    pub(crate) async fn watch(&self, run: RunNumber) -> Result<Watch, Problem> {
        let answer = self.open(Request::get(&["runs", &number(run), "watch"])).await?;
        Ok(Watch::new(answer))
    }
}

fn number(run: RunNumber) -> String {
    run.get().to_string()
}

/// A run that a dry run left, as the engine would give it.
fn planned(run: RunRecord) -> Result<RunRecord, Problem> {
    if run.plan_digest.is_some() {
        return Ok(run);
    }
    let problem = match &run.outcome {
        Some(outcome) => Problem::new(outcome.code, outcome.message.clone()),
        None => Problem::new(Code::RunState, format!("{} is {}", run.number, run.state)),
    };
    Err(problem.next(format!("mendwright run show {}", run.number.get()), "the run, with what the job logged"))
}
