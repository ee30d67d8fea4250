//! `/api/v1`: the folders below are the parts of its paths; one endpoint, one file.

mod audit;
mod health;
mod locks;
mod people;
mod repairs;
mod rollouts;
mod runs;
mod schedules;
mod status;
mod switches;
mod tenants;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use mendwright_core::code::Code;

use super::Shared;
use super::answer::Refused;
use crate::api::BASE;
use crate::view::problem::Problem;

/// Bytes of a request's body: parameters of a job are a page of text; a list of wanted rows can be long.
pub(super) const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a request may take that does not ask to wait.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// Everything that the API answers.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let v1 = Router::new()
        .route("/health", get(health::get))
        .route("/status", get(status::get))
        .nest("/repairs", repairs::router())
        .nest("/rollouts", rollouts::router())
        .nest("/schedules", schedules::router())
        .nest("/people", people::router())
        .nest("/runs", runs::router())
        .nest("/switches", switches::router())
        .nest("/locks", locks::router())
        .nest("/tenants", tenants::router())
        .nest("/trust", trust::router())
        .nest("/audit", audit::router());
    Router::new()
        .nest(BASE, v1)
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn(in_time))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

async fn unknown(request: Request) -> Refused {
    let message = format!("there is nothing at {}", request.uri().path());
    Refused(Problem::new(Code::EndpointUnknown, message).detail("docs/API.md lists every endpoint"))
}

async fn other_method(request: Request) -> Refused {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    Refused(Problem::new(Code::MethodUnknown, message).detail("docs/API.md lists every endpoint"))
}

/// What asks to wait bounds itself.
async fn in_time(request: Request, next: Next) -> Response {
    let waits = request.uri().query().is_some_and(|query| query.contains("wait=")) || is_watch(&request);
    if waits {
        return next.run(request).await;
    }
    match tokio::time::timeout(REQUEST_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the request took more than {} seconds", REQUEST_MAX.as_secs());
            Refused(Problem::new(Code::RequestTimeout, message).next("mendwright status", "what the host does"))
                .into_response()
        }
    }
}

fn is_watch(request: &Request) -> bool {
    request.uri().path().ends_with("/watch")
}
