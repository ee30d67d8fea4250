//! `POST /repairs`: a small repair of a job that is trusted to apply by itself, planned, decided and applied
//! before the answer: 201 and what it came to, as soon as its target holds it. 202 and the run where it has to
//! go the ordinary way; 200 and the run of a request that came before under its `Idempotency-Key`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use mendwright_core::code::Code;
use serde_json::Value;

use crate::api::act::{AppliedBody, RepairBody};
use crate::engine::{PlanRequest, Repaired};
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, key};
use crate::serve::peer::Peer;
use crate::view::problem::Problem;

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    peer: Peer,
    headers: HeaderMap,
    Body(body): Body<RepairBody>,
) -> Answer<Response> {
    shared.takes_work()?;
    let key = key(&headers, &peer, &("repair", &body))?;
    let RepairBody { job, tenant, params } = body;
    let request = PlanRequest {
        job,
        tenant,
        params: Value::Object(params),
        only: Vec::new(),
        requested_by: peer.0,
        parent: None,
        compensates: None,
        progress: None,
    };
    let room = shared.repairs.room(&request.tenant).await;
    let host = Arc::clone(&shared.host);
    // In a task of its own: what has begun goes on when nobody waits for it any more.
    let repairing = tokio::spawn(async move {
        let repaired = host.repair(&request, key.as_ref()).await;
        drop(room);
        repaired
    });
    let died = |error| Problem::new(Code::Internal, format!("a repair died: {error}"));
    Ok(match repairing.await.map_err(died)?? {
        Repaired::Applied(applied) => (StatusCode::CREATED, Json(AppliedBody::from(&*applied))).into_response(),
        Repaired::Begun(run) => {
            shared.bell.ring();
            (StatusCode::ACCEPTED, Json(shared.run_body(&run))).into_response()
        }
        Repaired::Before(run) => (StatusCode::OK, Json(shared.run_body(&run))).into_response(),
    })
}
