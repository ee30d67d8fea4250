//! `POST /runs/{run}/cancel`: calls a run off that is not being applied.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::api::act::CancelBody;
use crate::api::run::RunBody;
use crate::engine::halt;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, find};
use crate::serve::peer::Peer;

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    peer: Peer,
    Body(CancelBody { reason }): Body<CancelBody>,
) -> Answer<Json<RunBody>> {
    let run = find(&shared, &reference).await?;
    let run = halt::cancel(shared.host.store(), run.number, &reason, &peer.0).await?;
    Ok(Json(RunBody::from(&run)))
}
