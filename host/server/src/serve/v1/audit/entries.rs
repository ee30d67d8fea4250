//! `GET /audit/entries?before=ID&limit=N`: what was written down, the newest first.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;

use crate::api::audit::EntriesBody;
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, Params, page_size};

/// Entries of a page.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    before: Option<u64>,
    limit: Option<u32>,
}

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Params(Wanted { before, limit }): Params<Wanted>,
) -> Answer<Json<EntriesBody>> {
    let limit = page_size(limit, LIMIT, LIMIT_MAX)?;
    let entries = shared.host.store().audit_entries(before, limit).await.map_err(problem::store)?;
    Ok(Json(EntriesBody::new(&entries, limit)))
}
