//! `POST /runs/{run}/votes`: somebody's word about its plan, signed with their own key. The body is the DSSE
//! envelope as it is; who sends it does not matter, who signed it does.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::dsse::Envelope;

use crate::api::vote::VotedBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, find};

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    Body(envelope): Body<Envelope>,
) -> Answer<Json<VotedBody>> {
    let run = find(&shared, &reference).await?;
    let voted = shared.host.vote(run.number, envelope.to_json().as_bytes()).await?;
    Ok(Json(VotedBody::from(&voted)))
}
