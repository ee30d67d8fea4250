//! Rows that a repair at once changed and nobody has read back yet. The next one that would change them waits:
//! found changed again, the first would be taken for one that did not do what it should.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A row of a tenant's: tenant, resource and key.
pub(super) type Row = (String, String, String);

/// The rows that are claimed; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Shared>);

#[derive(Default)]
struct Shared {
    rows: Mutex<BTreeSet<Row>>,
    freed: Notify,
}

/// Some of them, until it is dropped.
pub(super) struct Claim {
    claims: Claims,
    rows: BTreeSet<Row>,
}

impl Claims {
    /// Claims all of these rows, once nobody else has one of them.
    pub(super) async fn claim(&self, rows: BTreeSet<Row>) -> Claim {
        loop {
            let mut freed = Box::pin(self.0.freed.notified());
            freed.as_mut().enable();
            if self.try_claim(&rows) {
                return Claim { claims: self.clone(), rows };
            }
            freed.await;
        }
    }

    fn try_claim(&self, rows: &BTreeSet<Row>) -> bool {
        let mut claimed = self.0.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.iter().any(|row| claimed.contains(row)) {
            return false;
        }
        claimed.extend(rows.iter().cloned());
        true
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claimed = self.claims.0.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for row in &self.rows {
            claimed.remove(row);
        }
        drop(claimed);
        self.claims.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rows(keys: &[&str]) -> BTreeSet<Row> {
        keys.iter().map(|key| ("t".to_owned(), "invoices".to_owned(), (*key).to_owned())).collect()
    }

    #[tokio::test]
    async fn whoever_wants_a_row_that_somebody_has_waits_for_it_and_others_do_not() {
        let claims = Claims::default();
        let first = claims.claim(rows(&["1", "2"])).await;
        drop(claims.claim(rows(&["3"])).await);
        let waits = claims.claim(rows(&["2", "3"]));
        let mut waits = std::pin::pin!(waits);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut waits).await.is_err());
        // It has none of them while it waits.
        drop(claims.claim(rows(&["3"])).await);
        drop(first);
        drop(waits.await);
        drop(claims.claim(rows(&["1", "2", "3"])).await);
    }
}
