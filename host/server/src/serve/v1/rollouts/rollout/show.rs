//! `GET /rollouts/{rollout}`: where it stands, and each of its tenants.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_store::RolloutNumber;

use crate::api::rollout::RolloutBody;
use crate::engine::rollout;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, invalid};

/// A path's number.
pub(super) fn number(text: &str) -> Answer<RolloutNumber> {
    let number = text.parse().map(RolloutNumber::new);
    Ok(number.map_err(|_| invalid(format!("`{text}` is not a rollout's number")))?)
}

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(text): Path<String>) -> Answer<Json<RolloutBody>> {
    Ok(Json(rollout::show(shared.host.store(), number(&text)?).await?))
}
