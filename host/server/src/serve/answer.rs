//! How endpoints read a request and answer: every error is problem+json with a stable code.

use std::time::Duration;

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_store::{Idempotency, RunRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Shared;
use super::peer::Peer;
use crate::api::PROBLEM_JSON;
use crate::api::problem::ProblemBody;
use crate::engine::problem;
use crate::view::json::harmless;
use crate::view::problem::Problem;

/// The longest that a request may wait for a task.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(600);

/// An answer that says what went wrong.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = ProblemBody::from(&self.0);
        let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], harmless(&body)).into_response()
    }
}

/// An answer in JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], harmless(&self.0)).into_response()
    }
}

/// What endpoints give.
pub(super) type Answer<T> = Result<T, Refused>;

pub(super) fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(Code::RequestInvalid, message)
}

/// The body of a request, as JSON.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        if !is_json(request.headers()) {
            return Err(invalid("the body of the request is not said to be JSON")
                .detail("it needs the header Content-Type: application/json")
                .into());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok(Self(body)),
            Err(error) => Err(invalid(format!("the body of the request cannot be read: {error}")).into()),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn unread(rejection: BytesRejection) -> Refused {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("the body of the request is larger than {} bytes", super::v1::BODY_BYTES_MAX);
        return Refused(Problem::new(Code::RequestTooLarge, message));
    }
    Refused(invalid("the body of the request ended early"))
}

/// The parameters of a request's query.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let wrong = |rejection: QueryRejection| Refused(invalid(rejection.body_text()));
        Query::<T>::from_request_parts(parts, state).await.map(|Query(params)| Self(params)).map_err(wrong)
    }
}

/// Who acts.
impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let unknown = || Refused(Problem::new(Code::Internal, "a request came from nobody"));
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown)
    }
}

/// The header that makes a request safe to send again.
const KEY: &str = "idempotency-key";

/// Characters of a key: it is an id, not a text.
const KEY_CHARS_MAX: usize = 255;

/// The key, and everything that it stands for: also who asks.
pub(super) fn key(headers: &HeaderMap, peer: &Peer, body: &impl Serialize) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    let text = key.to_str().unwrap_or_default().trim();
    if text.is_empty() || text.len() > KEY_CHARS_MAX {
        return Err(invalid(format!("`Idempotency-Key` takes 1 to {KEY_CHARS_MAX} visible ASCII characters")));
    }
    let request = Digest::of_json(&(body, &peer.0));
    Ok(Some(Idempotency { key: text.to_owned(), request }))
}

/// `?wait=30s`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    wait: Option<String>,
}

impl Waiting {
    /// How long the caller wants to wait; `None` where not at all.
    pub(super) fn duration(&self) -> Result<Option<Duration>, Problem> {
        let Some(text) = &self.wait else { return Ok(None) };
        let wait = mendwright_catalog::units::duration(text).map_err(|why| invalid(format!("`wait`: {why}")))?;
        if wait > WAIT_MAX {
            return Err(invalid(format!("`wait` takes {} seconds at most", WAIT_MAX.as_secs())));
        }
        Ok(Some(wait))
    }
}

/// How many things of a page: within 1 and `max`.
pub(super) fn page_size(wanted: Option<u32>, default: u32, max: u32) -> Result<u32, Problem> {
    match wanted.unwrap_or(default) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        _ => Err(invalid(format!("`limit` takes a number from 1 to {max}"))),
    }
}

/// The run that a path names: its number, `@last`, its id or the end of it.
pub(super) async fn find(shared: &Shared, reference: &str) -> Result<RunRecord, Problem> {
    shared.host.store().find(reference).await.map_err(problem::store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_and_a_wait_have_bounds() {
        assert_eq!(page_size(None, 50, 100).unwrap(), 50);
        assert_eq!(page_size(Some(100), 50, 100).unwrap(), 100);
        for wrong in [0, 101] {
            assert_eq!(page_size(Some(wrong), 50, 100).unwrap_err().code, Code::RequestInvalid);
        }
        let wait = |text: &str| Waiting { wait: Some(text.to_owned()) }.duration();
        assert_eq!(wait("30s").unwrap(), Some(Duration::from_secs(30)));
        assert!(wait("11m").is_err() && wait("soon").is_err());
        assert_eq!(Waiting::default().duration().unwrap(), None);
    }
}
