//! `GET /schedules`: what is planned by the clock, with the next and the last firing.

use std::sync::Arc;

use axum::extract::State;

use crate::api::schedule::SchedulesBody;
use crate::engine::schedule;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<SchedulesBody>> {
    Ok(Json(schedule::list(shared.host.config(), shared.host.store()).await?))
}
