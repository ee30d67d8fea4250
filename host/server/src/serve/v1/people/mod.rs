//! `/people`: the registry, and what it is to say next.

mod proposals;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::serve::Shared;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/", get(versions::get)).nest("/proposals", proposals::router())
}
