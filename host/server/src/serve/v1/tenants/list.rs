//! `GET /tenants`: whose data there is.

use std::sync::Arc;

use axum::extract::State;

use crate::api::tenant::TenantsBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<TenantsBody>> {
    Ok(Json(shared.host.tenants().await?))
}
