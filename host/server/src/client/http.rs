//! One request, one connection: HTTP/1.1 over the host's socket.

use std::fmt::Write as _;

use ::http::{HeaderMap, Method, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mendwright_core::code::Code;
use mendwright_store::RunNumber;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::Client;
use crate::api::problem::ProblemBody;
use crate::api::{BASE, PROBLEM_JSON};
use crate::view::problem::Problem;

/// Bytes of an answer: a page of changes with long values.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What is asked.
pub(super) struct Request {
    method: Method,
    path: String,
    query: String,
    body: Option<serde_json::Result<Vec<u8>>>,
}

impl Request {
    pub(super) fn new(method: Method, path: &[&str]) -> Self {
        let mut text = BASE.to_owned();
        for part in path {
            text.push('/');
            encode(&mut text, part);
        }
        Self { method, path: text, query: String::new(), body: None }
    }

    pub(super) fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path)
    }

    /// Adds a parameter that is there.
    pub(super) fn query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.query.push(if self.query.is_empty() { '?' } else { '&' });
            self.query.push_str(name);
            self.query.push('=');
            encode(&mut self.query, value);
        }
        self
    }

    pub(super) fn body<T: Serialize>(mut self, body: &T) -> Self {
        self.body = Some(serde_json::to_vec(body));
        self
    }
}

/// Everything but what RFC 3986 leaves alone, as `%XX`.
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The beginning of an answer that says that it worked.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Incoming,
}

fn lost(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::HostUnavailable, format!("the host did not answer to the end: {error}"))
        .next("mendwright status", "whether it runs, and what it works on")
}

fn foreign(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::HostUnavailable, format!("the host's answer is not of this version: {error}"))
        .next("mendwright status", "the host, and its version")
}

impl Client {
    /// Asks, and reads the answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, Problem> {
        let answer = self.open(request).await?;
        serde_json::from_slice(&read(answer.body).await?).map_err(foreign)
    }

    /// Asks for a task and waits for what it comes to.
    pub(super) async fn ask_done<T: DeserializeOwned>(&self, request: Request, run: RunNumber) -> Result<T, Problem> {
        let answer = self.open(request).await?;
        if answer.status == StatusCode::ACCEPTED {
            let message = format!("{run} takes long; the host goes on with it");
            return Err(Problem::new(Code::RequestTimeout, message)
                .next(format!("mendwright run watch {}", run.get()), "what happens to it"));
        }
        serde_json::from_slice(&read(answer.body).await?).map_err(foreign)
    }

    /// Asks; the answer's body is still to be read.
    pub(super) async fn open(&self, request: Request) -> Result<Answer, Problem> {
        let Request { method, path, query, body } = request;
        let stream = UnixStream::connect(&self.path).await.map_err(lost)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the host ended early");
            }
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, header::HeaderValue::from_static("mendwright"));
        if body.is_some() {
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        }
        let body = body.transpose().map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        let mut wanted = ::http::Request::builder()
            .method(method)
            .uri(format!("{path}{query}"))
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
        *wanted.headers_mut() = headers;
        let answer = sender.send_request(wanted).await.map_err(lost)?;
        let (head, body) = answer.into_parts();
        if head.status.is_success() {
            return Ok(Answer { status: head.status, body });
        }
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind != PROBLEM_JSON {
            return Err(foreign(format!("it is {} without a word", head.status)));
        }
        let problem: ProblemBody = serde_json::from_slice(&read(body).await?).map_err(foreign)?;
        Err(problem.into())
    }
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    Ok(read.map_err(lost)?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_go_into_paths_as_they_are() {
        let request = Request::get(&["switches", "safe_mode", "tenant:São Tomé/1"]).query("x", Some("a&b"));
        assert_eq!(request.path, "/api/v1/switches/safe_mode/tenant%3AS%C3%A3o%20Tom%C3%A9%2F1");
        assert_eq!(request.query, "?x=a%26b");
    }
}
