//! `/repairs`.

mod create;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;

use crate::serve::Shared;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/", post(create::post))
}
