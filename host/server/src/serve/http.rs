//! Connections: HTTP/1.1 on the socket, each with the name of who speaks; bounded in number and time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::socket::Listening;
use super::{Phase, Shared, peer, v1};

/// Connections at once: more than people and scripts of one machine have.
const CONNECTIONS_MAX: usize = 256;

/// How long the head of a request may take.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// After a failure of the system (no more files): so that it is not asked a million times.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How long answers that are on their way may take when the host ends.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(2);

/// Serves until the host is told to end, and then what is on its way.
pub(super) async fn serve(shared: Arc<Shared>, listening: Listening) {
    let mut phase = shared.phase.clone();
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let router = v1::router(shared);
    loop {
        let accepted = tokio::select! {
            accepted = listening.listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase != Phase::Working) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(permit) = room.clone().acquire_owned().await else { break };
                let (router, watcher) = (router.clone(), graceful.watcher());
                tokio::spawn(async move {
                    connection(stream, router, watcher).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    // From here on commands open the store themselves.
    drop(listening);
    // Whoever waits for a task is answered when it is done.
    let _ = phase.wait_for(|phase| *phase == Phase::Ending).await;
    if tokio::time::timeout(LAST_ANSWERS_MAX, graceful.shutdown()).await.is_err() {
        tracing::info!("connections were closed without an answer");
    }
}

async fn connection(stream: UnixStream, router: axum::Router, watcher: hyper_util::server::graceful::Watcher) {
    let peer = match peer::of(&stream).await {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(%error, "who speaks is not known: the connection is closed");
            return;
        }
    };
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer.clone());
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    let served = watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
