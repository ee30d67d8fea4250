//! `GET /runs/{run}/changes?resource=&key=&text=&after=SEQ&limit=N`: its plan's changes, in the plan's order.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_store::ChangeFilter;
use serde::Deserialize;

use crate::api::look::ChangesBody;
use crate::engine::look;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, Params, find, page_size};

/// Changes of a page.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 2_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    resource: Option<String>,
    key: Option<String>,
    text: Option<String>,
    after: Option<u64>,
    limit: Option<u32>,
}

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    Params(Wanted { resource, key, text, after, limit }): Params<Wanted>,
) -> Answer<Json<ChangesBody>> {
    let limit = page_size(limit, LIMIT, LIMIT_MAX)?;
    let run = find(&shared, &reference).await?;
    let filter = ChangeFilter { resource, key, text };
    let page = (after.unwrap_or(0), limit);
    let changes = look::changes(shared.host.store(), run.number, &filter, page).await?;
    Ok(Json(ChangesBody::new(changes, limit)))
}
