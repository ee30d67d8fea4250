//! `GET /status`: the host, the switches, the audit log, and every run that is not settled.

use std::sync::Arc;

use axum::extract::State;

use crate::api::status::{RUNS_MAX, StatusBody};
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<StatusBody>> {
    let store = shared.host.store();
    let runs = store.unsettled(RUNS_MAX + 1).await.map_err(problem::store)?;
    let switches = store.switches().await.map_err(problem::store)?;
    let audit = shared.host.audit_standing().await?;
    Ok(Json(StatusBody::new(Some(shared.host_body()), (&switches).into(), audit, &runs)))
}
