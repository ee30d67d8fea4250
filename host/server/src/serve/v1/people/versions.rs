//! `GET /people`: every version of the registry as it was signed.

use std::sync::Arc;

use axum::extract::State;

use crate::api::people::PeopleBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<PeopleBody>> {
    Ok(Json(shared.host.people().await?))
}
