//! `POST /runs`: begins a run that the first free worker plans. `Idempotency-Key`: the same request sent
//! twice begins one run. `?wait=30s`: answers when it is planned, or then.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use mendwright_crash::{Point, reached};
use mendwright_store::{Begun, RunNumber};
use serde_json::Value;

use crate::api::act::PlanBody;
use crate::api::run::RunBody;
use crate::engine::{PlanRequest, problem};
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, Params, Waiting, invalid, key};
use crate::serve::peer::Peer;
use crate::view::problem::Problem;

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Params(waiting): Params<Waiting>,
    peer: Peer,
    headers: HeaderMap,
    Body(body): Body<PlanBody>,
) -> Answer<(StatusCode, Json<RunBody>)> {
    shared.takes_work()?;
    let wait = waiting.duration()?;
    let key = key(&headers, &peer, &body)?;
    let request = request(&shared, body, peer).await?;
    reached(Point::RequestRead);
    let (status, mut run) = match shared.host.enqueue(&request, key.as_ref()).await? {
        Begun::New(run) => (StatusCode::CREATED, run),
        Begun::Before(run) => (StatusCode::OK, run),
    };
    shared.bell.ring();
    if let Some(wait) = wait {
        let store = shared.host.store();
        shared.desk.wait(store, run.number, wait).await?;
        run = store.run(run.number).await.map_err(problem::store)?;
    }
    Ok((status, Json(shared.run_body(&run))))
}

/// What is to be planned: said whole, or what an earlier run was asked for.
async fn request(shared: &Shared, body: PlanBody, peer: Peer) -> Result<PlanRequest, Problem> {
    let PlanBody { job, tenant, params, only, again, compensates } = body;
    let new = |job: String, tenant: String, params: Value| PlanRequest {
        job,
        tenant,
        params,
        only,
        requested_by: peer.0,
        parent: None,
        compensates: None,
        progress: None,
    };
    match (job, tenant, again, compensates) {
        (Some(job), Some(tenant), None, None) => Ok(new(job, tenant, Value::Object(params))),
        (None, None, Some(again), None) if params.is_empty() => {
            let before = shared.host.store().run(RunNumber::new(again)).await.map_err(problem::store)?;
            let request = new(before.job_name, before.tenant, before.params);
            Ok(PlanRequest { parent: Some(before.number), compensates: before.compensates, ..request })
        }
        (None, None, None, Some(of)) if params.is_empty() => {
            let of = shared.host.store().run(RunNumber::new(of)).await.map_err(problem::store)?;
            let request = new(of.job_name, of.tenant, of.params);
            Ok(PlanRequest { compensates: Some(of.number), ..request })
        }
        _ => Err(invalid("a run needs `job` and `tenant`, or else `again`, or else `compensates`")),
    }
}
