//! `GET /health`: whether the host answers, and of which version it is. Asks nothing of any database.

use std::sync::Arc;

use axum::extract::State;

use crate::api::status::HealthBody;
use crate::serve::Shared;
use crate::serve::answer::Json;

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Json<HealthBody> {
    Json(HealthBody {
        name: "mendwright".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state: shared.phase.borrow().word().to_owned(),
    })
}
