//! `GET /runs/{run}/paper?key=ID`: what the owner of a key signs about its plan. Their word they say themselves,
//! where their key is; see `votes`.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::key::KeyId;

use crate::api::vote::PaperBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, Params, find};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    key: KeyId,
}

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    Params(Query { key }): Params<Query>,
) -> Answer<Json<PaperBody>> {
    let run = find(&shared, &reference).await?;
    let paper = shared.host.paper(run.number, key).await?;
    Ok(Json(PaperBody::from(&paper)))
}
