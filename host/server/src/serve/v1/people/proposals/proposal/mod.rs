//! `/people/proposals/{proposal}`: its number.

mod discard;
mod show;
mod signatures;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use mendwright_core::code::Code;

use crate::serve::Shared;
use crate::view::problem::Problem;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(show::get))
        .route("/signatures", post(signatures::post))
        .route("/discard", post(discard::post))
}

fn number(path: &str) -> Result<u64, Problem> {
    path.parse().map_err(|_| {
        let short = mendwright_core::text::escape_short(path, 40);
        Problem::new(Code::ProposalUnknown, format!("there is no proposal `{short}`: they have numbers"))
            .next("mendwright person proposals", "what is proposed")
    })
}
