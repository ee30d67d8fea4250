//! `GET /runs/{run}/events`: everything that happened to it, in order.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::api::FORMAT_VERSION;
use crate::api::look::{EventBody, EventsBody};
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, find};

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(reference): Path<String>) -> Answer<Json<EventsBody>> {
    let run = find(&shared, &reference).await?;
    let events = shared.host.store().events(run.number).await.map_err(problem::store)?;
    let events = events.iter().map(EventBody::from).collect();
    Ok(Json(EventsBody { format_version: FORMAT_VERSION.to_owned(), events }))
}
