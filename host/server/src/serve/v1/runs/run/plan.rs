//! `GET /runs/{run}/plan`: its plan as `run show --json` prints it, without the changes.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::plan::document::Document;

use crate::engine::look;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, find};

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(reference): Path<String>) -> Answer<Json<Document>> {
    let run = find(&shared, &reference).await?;
    Ok(Json(look::document(shared.host.store(), run.number).await?))
}
