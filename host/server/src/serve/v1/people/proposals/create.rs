//! `POST /people/proposals`: the registry's next version, signed by who proposes it. Who sends it does not matter.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::api::people::{ProposalBody, ProposeBody};
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json};

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Body(ProposeBody { envelope, reason }): Body<ProposeBody>,
) -> Answer<(StatusCode, Json<ProposalBody>)> {
    Ok((StatusCode::CREATED, Json(shared.host.propose(&envelope, &reason).await?)))
}
