//! `/runs/{run}`: its number, `@last`, its id or the end of it.

mod apply;
mod cancel;
mod changes;
mod compensation;
mod decisions;
mod events;
mod log;
mod paper;
mod plan;
mod session_votes;
mod show;
mod undo;
mod votes;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::serve::Shared;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(show::get))
        .route("/plan", get(plan::get))
        .route("/changes", get(changes::get))
        .route("/log", get(log::get))
        .route("/events", get(events::get))
        .route("/compensation", get(compensation::get))
        .route("/decisions", get(decisions::get))
        .route("/paper", get(paper::get))
        .route("/session-votes", post(session_votes::post))
        .route("/votes", post(votes::post))
        .route("/watch", get(watch::get))
        .route("/apply", post(apply::post))
        .route("/undo", get(undo::get).post(undo::post))
        .route("/cancel", post(cancel::post))
}
