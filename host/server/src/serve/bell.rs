//! What wakes the worker: work that came through this host, and work that others tell of.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::Shared;

/// Between two messages to other hosts: however much is begun, the server's lock is taken twenty times a
/// second at most.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// Before it is listened again after the server did not answer. Polling goes on meanwhile.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// Rung when there is work.
#[derive(Debug, Default)]
pub(super) struct Bell {
    here: Notify,
    elsewhere: Notify,
}

impl Bell {
    /// There is work: for this host and, within a moment, for the others.
    pub(super) fn ring(&self) {
        self.here.notify_one();
        self.elsewhere.notify_one();
    }

    /// Returns when it was rung since the last time.
    pub(super) async fn rung(&self) {
        self.here.notified().await;
    }
}

/// Tells other hosts, for ever: many rings are one message.
pub(super) async fn tell_others(shared: Arc<Shared>) {
    loop {
        shared.bell.elsewhere.notified().await;
        if let Err(error) = shared.host.store().wake().await {
            // They look by themselves every second.
            tracing::debug!(%error, "other hosts were not told of work");
        }
        tokio::time::sleep(TELL_EVERY).await;
    }
}

/// Listens to other hosts, for ever; ends at once beside a file.
pub(super) async fn hear_others(shared: Arc<Shared>) {
    loop {
        match shared.host.store().listen().await {
            Ok(None) => return,
            Ok(Some(mut listener)) => loop {
                match listener.heard().await {
                    Ok(()) => shared.bell.here.notify_one(),
                    Err(error) => {
                        tracing::warn!(%error, "other hosts are not heard for now");
                        break;
                    }
                }
            },
            Err(error) => tracing::warn!(%error, "other hosts are not heard for now"),
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}
