//! `GET /locks`: who holds a target's locks, and who waits for them.

use std::sync::Arc;

use axum::extract::State;

use crate::api::lock::LocksBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<LocksBody>> {
    Ok(Json(shared.host.locks().await?))
}
