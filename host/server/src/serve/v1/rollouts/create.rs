//! `POST /rollouts`: begins one, to every tenant for whom a grant names the job.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use crate::api::rollout::{BeginBody, RolloutBody};
use crate::engine::rollout::RolloutRequest;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, invalid};
use crate::serve::peer::Peer;

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    peer: Peer,
    Body(body): Body<BeginBody>,
) -> Answer<(StatusCode, Json<RolloutBody>)> {
    shared.takes_work()?;
    let BeginBody { job, params, waves, stop_if } = body;
    let stop_if = stop_if.map(|text| text.parse()).transpose();
    let request = RolloutRequest {
        job,
        params: Value::Object(params),
        waves: waves.parse().map_err(|why| invalid(format!("`waves`: {why}")))?,
        stop_if: stop_if.map_err(|why| invalid(format!("`stop_if`: {why}")))?.unwrap_or_default(),
        by: peer.0,
    };
    Ok((StatusCode::CREATED, Json(shared.host.begin_rollout(request).await?)))
}
