//! `GET /runs/{run}/undo`: what undoing it would restore, and whether it may be done. `POST /runs/{run}/undo`: asks for exactly that: 202
//! and the run; with `?wait=60s`, 200 and what it came to, if that is known by then.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use mendwright_store::RunRecord;

use crate::api::act::{ConfirmBody, UndoBody, UndoneBody};
use crate::api::run::RunBody;
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, Params, Waiting, find};
use crate::serve::desk::{Said, Waited};
use crate::serve::peer::Peer;

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    peer: Peer,
) -> Answer<Json<UndoBody>> {
    let run = find(&shared, &reference).await?;
    let (run, undo) = shared.host.undo_preview(run.number).await?;
    let answer = shared.host.undo_answer(&run, &undo, &peer.0).await?;
    Ok(Json(UndoBody::new(&run, &undo, answer)))
}

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    Params(waiting): Params<Waiting>,
    peer: Peer,
    Body(ConfirmBody { confirm }): Body<ConfirmBody>,
) -> Answer<Response> {
    shared.takes_work()?;
    let wait = waiting.duration()?;
    let run = find(&shared, &reference).await?;
    shared.desk.forget(run.number);
    let run = shared.host.ask_undo(run.number, &confirm, &peer.0).await?;
    shared.bell.ring();
    let waited = match wait {
        Some(wait) => shared.desk.wait(shared.host.store(), run.number, wait).await?,
        None => Waited::NotYet,
    };
    Ok(match waited {
        Waited::Here(Ok(Said::Undone(undone))) => Json(*undone).into_response(),
        Waited::Here(Err(problem)) => return Err(problem.into()),
        Waited::Here(Ok(Said::Done | Said::Applied(_))) => {
            let run = shared.host.store().run(run.number).await.map_err(problem::store)?;
            Json(undone_elsewhere(&run)).into_response()
        }
        Waited::Elsewhere(run) => Json(undone_elsewhere(&run)).into_response(),
        Waited::NotYet => (StatusCode::ACCEPTED, Json(RunBody::from(&run))).into_response(),
    })
}

/// What is known of an undo that this host did not do itself.
fn undone_elsewhere(run: &RunRecord) -> UndoneBody {
    UndoneBody { run: RunBody::from(run), restored: 0, left: Vec::new(), elapsed_ms: 0 }
}
