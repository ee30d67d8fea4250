//! `GET /runs/{run}/decisions`: what policy answered about it, in order.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::code::Code;

use crate::api::vote::DecisionsBody;
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, find};
use crate::view::problem::Problem;

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
) -> Answer<Json<DecisionsBody>> {
    let run = find(&shared, &reference).await?;
    let decisions = shared.host.store().decisions(run.number).await.map_err(problem::store)?;
    let body = DecisionsBody::new(decisions)
        .map_err(|error| Problem::new(Code::StoreCorrupt, format!("a decision about {}: {error}", run.number)))?;
    Ok(Json(body))
}
