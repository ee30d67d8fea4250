//! `GET /runs/{run}/log`: what its job logged, all of it: a run's log is bounded.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::api::FORMAT_VERSION;
use crate::api::look::{LineBody, LogBody};
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, find};

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(reference): Path<String>) -> Answer<Json<LogBody>> {
    let run = find(&shared, &reference).await?;
    let lines = shared.host.store().log(run.number).await.map_err(problem::store)?;
    let lines = lines.into_iter().map(LineBody::from).collect();
    Ok(Json(LogBody { format_version: FORMAT_VERSION.to_owned(), lines }))
}
