//! `POST /runs/{run}/apply`: asks for exactly what its plan shows. 202 and the run; with `?wait=60s`, 200 and
//! what it came to, if that is known by then.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use mendwright_store::RunRecord;

use crate::api::act::{AppliedBody, ApplyBody};
use crate::api::problem::ProblemBody;
use crate::api::run::RunBody;
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, Params, Waiting, find};
use crate::serve::desk::{Said, Waited};
use crate::serve::peer::Peer;
use crate::view::problem::Problem;

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    Params(waiting): Params<Waiting>,
    peer: Peer,
    Body(ApplyBody { confirm, break_glass }): Body<ApplyBody>,
) -> Answer<Response> {
    shared.takes_work()?;
    let wait = waiting.duration()?;
    let run = find(&shared, &reference).await?;
    shared.desk.forget(run.number);
    let run = shared.host.ask_apply(run.number, &confirm, (&peer.0, break_glass.as_deref())).await?;
    shared.bell.ring();
    let waited = match wait {
        Some(wait) => shared.desk.wait(shared.host.store(), run.number, wait).await?,
        None => Waited::NotYet,
    };
    Ok(match waited {
        Waited::Here(Ok(Said::Applied(applied))) => Json(*applied).into_response(),
        Waited::Here(Err(problem)) => return Err(problem.into()),
        Waited::Here(Ok(Said::Done | Said::Undone(_))) => {
            let run = shared.host.store().run(run.number).await.map_err(problem::store)?;
            Json(applied_elsewhere(&run)).into_response()
        }
        Waited::Elsewhere(run) => Json(applied_elsewhere(&run)).into_response(),
        Waited::NotYet => (StatusCode::ACCEPTED, Json(RunBody::from(&run))).into_response(),
    })
}

/// What is known of an apply that this host did not do itself.
fn applied_elsewhere(run: &RunRecord) -> AppliedBody {
    let problem = run.outcome.as_ref().map(|outcome| Problem::new(outcome.code, outcome.message.clone()));
    AppliedBody {
        run: RunBody::from(run),
        changes: 0,
        drift: None,
        left_for_next: Vec::new(),
        elapsed_ms: u64::try_from(run.updated_at_us.saturating_sub(run.created_at_us)).unwrap_or(0) / 1_000,
        problem: problem.as_ref().map(ProblemBody::from),
    }
}
