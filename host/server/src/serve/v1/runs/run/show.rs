//! `GET /runs/{run}`: where it stands. `?wait=30s`: answers when nobody works on it any more, or then.

use std::sync::Arc;

use axum::extract::{Path, State};

use crate::api::run::RunBody;
use crate::engine::problem;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Json, Params, Waiting, find};

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    Params(waiting): Params<Waiting>,
) -> Answer<Json<RunBody>> {
    let mut run = find(&shared, &reference).await?;
    if let Some(wait) = waiting.duration()? {
        let store = shared.host.store();
        shared.desk.wait(store, run.number, wait).await?;
        run = store.run(run.number).await.map_err(problem::store)?;
    }
    Ok(Json(shared.run_body(&run)))
}
