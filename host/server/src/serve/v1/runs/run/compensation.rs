//! `GET /runs/{run}/compensation`: the run that takes it back in the job's own way, or `null`.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::api::run::RunBody;
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, find};

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
) -> Answer<Json<Option<RunBody>>> {
    let run = find(&shared, &reference).await?;
    let by = shared.host.store().compensation_of(run.number).await.map_err(problem::store)?;
    Ok(Json(by.as_ref().map(RunBody::from)))
}
