//! `POST /people/proposals/{proposal}/signatures`: the document with one more signature. With enough of them it is
//! the registry's next version.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::dsse::Envelope;

use super::number;
use crate::api::people::ProposalBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json};

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Path(of): Path<String>,
    Body(envelope): Body<Envelope>,
) -> Answer<Json<ProposalBody>> {
    Ok(Json(shared.host.sign_proposal(number(&of)?, &envelope).await?))
}
