//! `GET /switches`: those that do not stand as by default.

use std::sync::Arc;

use axum::extract::State;

use crate::api::switch::SwitchesBody;
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<SwitchesBody>> {
    let switches = shared.host.store().switches().await.map_err(problem::store)?;
    Ok(Json((&switches).into()))
}
