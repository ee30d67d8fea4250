//! `GET /runs/{run}/paper?key=ID`: what the owner of a key signs about its plan; with `&undo=true` about its undo, as
//! it would be done now. Their word they say themselves, where their key is; see `votes`.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::approval::Subject;
use mendwright_core::key::KeyId;

use crate::api::vote::PaperBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, Params, find};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    key: KeyId,
    #[serde(default)]
    undo: bool,
}

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    Params(Query { key, undo }): Params<Query>,
) -> Answer<Json<PaperBody>> {
    let run = find(&shared, &reference).await?;
    let about = if undo { Subject::Undo } else { Subject::Plan };
    let paper = shared.host.paper(run.number, key, about).await?;
    Ok(Json(PaperBody::from(&paper)))
}
