//! `/people/proposals`.

mod create;
mod list;
mod proposal;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::serve::Shared;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/", get(list::get).post(create::post)).nest("/{proposal}", proposal::router())
}
