//! `POST /trust/promotions`: that a job is to be trusted further, as somebody signed it. Who sends it does not matter.

use std::sync::Arc;

use axum::extract::State;
use mendwright_core::dsse::Envelope;

use crate::api::trust::TrustBody;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json};

pub(super) async fn post(State(shared): State<Arc<Shared>>, Body(envelope): Body<Envelope>) -> Answer<Json<TrustBody>> {
    let trust = shared.host.promote(&envelope).await?;
    shared.bell.ring();
    Ok(Json(trust))
}
