//! `GET /rollouts`: the newest first.

use std::sync::Arc;

use axum::extract::State;

use crate::api::rollout::RolloutsBody;
use crate::engine::rollout;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<RolloutsBody>> {
    Ok(Json(rollout::list(shared.host.store()).await?))
}
