//! `mendwright run plan JOB --tenant '*'`: a dry run and a run for each tenant, one after the other, so that
//! numbers follow the table. What fails for one tenant is a line of the table.

use std::collections::BTreeMap;

use mendwright_core::code::Code;
use mendwright_core::plan::document::{Document, NetRecord};
use mendwright_core::run::State;
use mendwright_store::{RunFilter, RunRecord};
use serde::Serialize;
use serde_json::Value;

use super::loaded::{amounts, job_summary, policy_of};
use super::plan::{Ending, request};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::engine::tenants::{granted, tenants};
use crate::view::Next;
use crate::view::problem::{Exit, Problem};
use crate::view::tenant::{Survey, TenantLine, survey};

/// What stands for every tenant.
pub(super) const EVERY: &str = "*";

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    job: &'a str,
    environment: &'a str,
    tenants: Vec<TenantRecord>,
    not_granted: &'a [String],
}

#[derive(Serialize)]
struct TenantRecord {
    tenant: String,
    number: Option<u64>,
    run: Option<String>,
    state: Option<&'static str>,
    digest: Option<String>,
    inserts: Option<u64>,
    updates: Option<u64>,
    deletes: Option<u64>,
    findings: u64,
    /// Resource → column → sums.
    net: BTreeMap<String, BTreeMap<String, NetRecord>>,
    policy: Option<String>,
    code: Option<Code>,
    message: Option<String>,
}

/// One tenant's dry run.
struct Planned {
    tenant: String,
    run: Option<RunRecord>,
    document: Option<Document>,
    policy: String,
    problem: Option<Problem>,
}

pub(super) async fn run(context: &Context, door: &Door, job: String, params: Value, ending: &Ending) -> Done {
    let found = match door {
        Door::Local(host) => tenants(host.config(), &context.env).await?,
        Door::Remote(client, _) => client.tenants().await?,
    };
    let (names, not_granted) = granted(&found, &job)?;
    if names.is_empty() {
        let message = format!("no grant names {job} for any of the {} tenants", found.tenants.len());
        return Err(Problem::new(Code::GrantMissing, message).next("mendwright tenant list", "who is granted what"));
    }
    let mut all = Vec::with_capacity(names.len());
    let progress = Progress::begin(&context.out, format!("{job} for {} tenants", names.len()));
    let (told, n) = (progress.report(), count(names.len()));
    for tenant in names {
        told(count(all.len()), n);
        all.push(one(context, door, &job, tenant, params.clone()).await?);
    }
    drop(progress);
    let config = door.config();
    if context.out.is_json() {
        let tenants = all.iter().map(record).collect();
        let environment = config.environment.as_str();
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            job: &job,
            environment,
            tenants,
            not_granted: &not_granted,
        });
    } else {
        let view = Survey {
            summary: job_summary(config, &job),
            environment: config.environment.clone(),
            lines: all.iter().map(line).collect(),
            not_granted,
            next: next(&all),
            job,
        };
        context.out.result(&survey(context.out.look, &view));
    }
    let changes = all.iter().any(|one| one.document.as_ref().is_some_and(|document| total(document) != (0, 0, 0)));
    Ok(match (all.iter().any(|one| one.problem.is_some()), changes && ending.detailed_exitcode) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Done,
    })
}

/// A dry run for one tenant. Only what keeps the next tenants' from being made ends it all.
async fn one(context: &Context, door: &Door, job: &str, tenant: String, params: Value) -> Result<Planned, Problem> {
    let request = request(context, job.to_owned(), tenant.clone(), params, Vec::new());
    let run = match door.plan(request).await {
        Ok(run) => run,
        Err(problem) if ends_all(problem.code) => return Err(problem),
        Err(problem) => {
            let run = failed_run(door, job, &tenant, &problem).await?;
            return Ok(Planned { tenant, run, document: None, policy: String::new(), problem: Some(problem) });
        }
    };
    let document = door.books().document(run.number).await?;
    let policy = if run.state == State::NothingToDo {
        String::new()
    } else {
        policy_of(door.books(), run.number).await?.map(|policy| policy.text).unwrap_or_default()
    };
    Ok(Planned { tenant, run: Some(run), document: Some(document), policy, problem: None })
}

/// What is not about one tenant.
const fn ends_all(code: Code) -> bool {
    matches!(
        code,
        Code::JobUnknown
            | Code::ManifestInvalid
            | Code::ParamInvalid
            | Code::HostUnavailable
            | Code::HostStopping
            | Code::StoreUnavailable
            | Code::StoreCorrupt
            | Code::Internal
    )
}

/// The run that says the same as the problem, if it came to one.
async fn failed_run(door: &Door, job: &str, tenant: &str, problem: &Problem) -> Result<Option<RunRecord>, Problem> {
    let (tenant, job) = (Some(tenant.to_owned()), Some(job.to_owned()));
    let newest = door.books().list(&RunFilter { tenant, job, limit: 1, ..RunFilter::default() }).await?;
    let run = newest.into_iter().next().map(|listed| listed.run.record()).transpose()?;
    Ok(run.filter(|run| run.outcome.as_ref().is_some_and(|outcome| outcome.code == problem.code)))
}

fn total(document: &Document) -> (u64, u64, u64) {
    document.resources.iter().map(amounts).fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
}

fn line(one: &Planned) -> TenantLine {
    let resources = one.document.iter().flat_map(|document| &document.resources);
    let net = resources.flat_map(|resource| {
        resource.net.iter().map(|(column, net)| {
            let kind = resource.columns.get(column).cloned().unwrap_or_default();
            (column.clone(), net.delta.clone(), kind)
        })
    });
    TenantLine {
        tenant: one.tenant.clone(),
        run: one.run.as_ref().map(|run| (run.number.get(), run.state)),
        changes: one.document.as_ref().map(total),
        findings: one.document.as_ref().map_or(0, |document| count(document.findings.len())),
        net: net.collect(),
        policy: one.policy.clone(),
        problem: one.problem.as_ref().map(|problem| (problem.code, problem.message.clone())),
    }
}

fn record(one: &Planned) -> TenantRecord {
    let amounts = one.document.as_ref().map(total);
    let resources = one.document.iter().flat_map(|document| &document.resources);
    TenantRecord {
        tenant: one.tenant.clone(),
        number: one.run.as_ref().map(|run| run.number.get()),
        run: one.run.as_ref().map(|run| run.id.to_string()),
        state: one.run.as_ref().map(|run| run.state.word()),
        digest: one.run.as_ref().and_then(|run| run.plan_digest).map(|digest| digest.to_string()),
        inserts: amounts.map(|amounts| amounts.0),
        updates: amounts.map(|amounts| amounts.1),
        deletes: amounts.map(|amounts| amounts.2),
        findings: one.document.as_ref().map_or(0, |document| count(document.findings.len())),
        net: resources.filter(|r| !r.net.is_empty()).map(|r| (r.name.clone(), r.net.clone())).collect(),
        policy: Some(one.policy.clone()).filter(|text| !text.is_empty()),
        code: one.problem.as_ref().map(|problem| problem.code),
        message: one.problem.as_ref().map(|problem| problem.message.clone()),
    }
}

fn next(all: &[Planned]) -> Vec<Next> {
    let changing = all.iter().find(|one| one.document.as_ref().is_some_and(|found| total(found) != (0, 0, 0)));
    let failed = all.iter().find(|one| one.problem.is_some());
    let show = |one: &Planned, why: &str| {
        one.run.as_ref().map(|run| Next::new(format!("mendwright run show {}", run.number.get()), why))
    };
    let hints = [
        changing.and_then(|one| show(one, "a plan, row by row")),
        failed.and_then(|one| show(one, "why there is none, with what the job logged")),
    ];
    hints.into_iter().flatten().collect()
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
