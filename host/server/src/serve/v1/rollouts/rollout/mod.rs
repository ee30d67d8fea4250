//! `/rollouts/{rollout}`: its number.

mod moves;
mod show;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::serve::Shared;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(show::get))
        .route("/pause", post(moves::pause))
        .route("/resume", post(moves::resume))
        .route("/cancel", post(moves::cancel))
        .route("/undone", post(moves::undone))
}
