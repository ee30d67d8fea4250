//! `GET /trust`: how far each job is trusted with each tenant, with its record and what that suggests.

use std::sync::Arc;

use axum::extract::State;

use crate::api::FORMAT_VERSION;
use crate::api::trust::TrustsBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<TrustsBody>> {
    let trust = shared.host.trust_list().await?;
    Ok(Json(TrustsBody { format_version: FORMAT_VERSION.to_owned(), trust }))
}
