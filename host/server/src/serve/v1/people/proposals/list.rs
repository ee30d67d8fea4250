//! `GET /people/proposals`: what is proposed, pending ones first.

use std::sync::Arc;

use axum::extract::State;

use crate::api::FORMAT_VERSION;
use crate::api::people::ProposalsBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer<Json<ProposalsBody>> {
    let proposals = shared.host.proposals().await?;
    Ok(Json(ProposalsBody { format_version: FORMAT_VERSION.to_owned(), proposals }))
}
