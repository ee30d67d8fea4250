//! `GET /runs/{run}/watch`: server-sent events: a `step` for each thing that happened to it and happens, then
//! `settled` with the run, when nobody works on it any more. `Last-Event-ID` goes on after that step.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream::{self, Stream};
use mendwright_store::RunNumber;
use tokio::time::Instant;

use crate::api::look::EventBody;
use crate::engine::problem;
use crate::serve::answer::{Answer, find};
use crate::serve::{Phase, Shared};
use crate::view::json::harmless;
use crate::view::problem::Problem;

/// Between two looks at what happened, where this host did not do it itself.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// So that whoever is between does not close a connection on which nothing is said.
const BEAT_EVERY: Duration = Duration::from_secs(15);

pub(super) async fn get(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    let run = find(&shared, &reference).await?;
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let stream = steps(shared, run.number, seen.unwrap_or(0));
    Ok(([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")], Body::from_stream(stream))
        .into_response())
}

/// One message.
fn message(id: Option<u64>, event: &str, data: &str) -> String {
    let id = id.map_or(String::new(), |id| format!("id: {id}\n"));
    format!("{id}event: {event}\ndata: {data}\n\n")
}

fn steps(shared: Arc<Shared>, run: RunNumber, seen: u64) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some(seen), move |seen| {
        let shared = shared.clone();
        async move {
            let seen = seen?;
            match more(&shared, run, seen).await {
                Ok((text, seen)) => Some((Ok(Bytes::from(text)), seen)),
                Err(problem) => {
                    let text = message(None, "problem", &harmless(&crate::api::problem::ProblemBody::from(&problem)));
                    Some((Ok(Bytes::from(text)), None))
                }
            }
        }
    })
}

/// What happened since; waits until there is something. The second is absent when it is over.
async fn more(shared: &Shared, run: RunNumber, seen: u64) -> Result<(String, Option<u64>), Problem> {
    let store = shared.host.store();
    let mut changes = shared.desk.changes();
    let mut phase = shared.phase.clone();
    let beat = Instant::now() + BEAT_EVERY;
    loop {
        // The run first: what happened until it was settled is then among the events.
        let record = store.run(run).await.map_err(problem::store)?;
        let events = store.events(run).await.map_err(problem::store)?;
        let new = events.iter().filter(|event| event.seq > seen);
        let mut text: String =
            new.map(|event| message(Some(event.seq), "step", &harmless(&EventBody::from(event)))).collect();
        let last = events.last().map_or(seen, |event| event.seq.max(seen));
        if record.asked.is_none() && !record.state.is_in_flight() {
            text.push_str(&message(None, "settled", &harmless(&shared.run_body(&record))));
            return Ok((text, None));
        }
        if !text.is_empty() {
            return Ok((text, Some(last)));
        }
        if Instant::now() >= beat {
            return Ok((": still\n\n".to_owned(), Some(last)));
        }
        if *phase.borrow() == Phase::Ending {
            return shared.takes_work().map(|()| (String::new(), None));
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = phase.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
