//! `GET /trust/{job}/{tenant}`.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::api::trust::TrustBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path((job, tenant)): Path<(String, String)>,
) -> Answer<Json<TrustBody>> {
    Ok(Json(shared.host.trust_of(&job, &tenant).await?))
}
