//! `POST /people/proposals/{proposal}/discard`: takes it back; for who proposed it and for administrators.

use std::sync::Arc;

use axum::extract::{Path, State};

use super::number;
use crate::api::people::{DiscardBody, ProposalBody};
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json};
use crate::serve::peer::Peer;

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Path(of): Path<String>,
    peer: Peer,
    Body(DiscardBody { reason }): Body<DiscardBody>,
) -> Answer<Json<ProposalBody>> {
    Ok(Json(shared.host.discard_proposal(number(&of)?, &peer.0, &reason).await?))
}
