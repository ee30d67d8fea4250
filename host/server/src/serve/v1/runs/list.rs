//! `GET /runs?tenant=&job=&state=&applied_since=&before=RUN&limit=N`: runs, the newest first.

use std::sync::Arc;

use axum::extract::State;
use mendwright_store::RunFilter;
use serde::Deserialize;

use crate::api::run::RunsBody;
use crate::engine::look;
use crate::engine::time::from_rfc3339;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, Params, find, invalid, page_size};

/// Runs of a page.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tenant: Option<String>,
    job: Option<String>,
    state: Option<String>,
    applied_since: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn get(State(shared): State<Arc<Shared>>, Params(wanted): Params<Wanted>) -> Answer<Json<RunsBody>> {
    let limit = page_size(wanted.limit, LIMIT, LIMIT_MAX)?;
    let before = match &wanted.before {
        Some(reference) => Some(find(&shared, reference).await?.number),
        None => None,
    };
    let state = wanted.state.as_deref().map(str::parse).transpose().map_err(invalid)?;
    let applied_since_us = match &wanted.applied_since {
        Some(text) => Some(from_rfc3339(text).ok_or_else(|| invalid("`applied_since` takes a time as RFC 3339"))?),
        None => None,
    };
    let filter = RunFilter { tenant: wanted.tenant, job: wanted.job, state, applied_since_us, before, limit };
    let runs = look::list(shared.host.store(), &filter).await?;
    Ok(Json(RunsBody::new(runs, limit)))
}
