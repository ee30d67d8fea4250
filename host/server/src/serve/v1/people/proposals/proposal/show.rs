//! `GET /people/proposals/{proposal}`: what it would change, who signed it, and the document itself.

use std::sync::Arc;

use axum::extract::{Path, State};

use super::number;
use crate::api::people::ProposalBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json};

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(of): Path<String>) -> Answer<Json<ProposalBody>> {
    Ok(Json(shared.host.proposal(number(&of)?).await?))
}
