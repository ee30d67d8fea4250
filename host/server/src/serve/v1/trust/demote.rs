//! `POST /trust/{job}/{tenant}/demote`: trusts a job less, at once.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::api::trust::{DemoteBody, TrustBody};
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json};
use crate::serve::peer::Peer;

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Path((job, tenant)): Path<(String, String)>,
    peer: Peer,
    Body(DemoteBody { to, reason }): Body<DemoteBody>,
) -> Answer<Json<TrustBody>> {
    Ok(Json(shared.host.demote((&job, &tenant), to, &peer.0, &reason).await?))
}
