//! `/trust`.

mod demote;
mod list;
mod promotions;
mod show;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::serve::Shared;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(list::get))
        .route("/promotions", post(promotions::post))
        .route("/{job}/{tenant}", get(show::get))
        .route("/{job}/{tenant}/demote", post(demote::post))
}
