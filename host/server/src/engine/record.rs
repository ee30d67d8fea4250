//! A dry run that is also written down, to be played again without any database.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use mendwright_sandbox::recording::Recorded;
use mendwright_store::RunRecord;

use super::job::Ready;
use super::{Host, PlanRequest};
use crate::view::problem::Problem;

/// Where an execution leaves its recording.
#[derive(Default)]
pub(super) struct Slot(Mutex<Option<std::io::Result<Recorded>>>);

impl Slot {
    pub(super) fn put(&self, recorded: std::io::Result<Recorded>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(recorded);
    }

    fn take(self) -> Option<std::io::Result<Recorded>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    /// As [`Host::plan`], with the recording of the dry run, whatever it came to; `None` where it never
    /// began. The recording holds the tenant's rows in clear.
    pub async fn plan_recorded(
        &self,
        request: PlanRequest,
    ) -> (Result<RunRecord, Problem>, Option<std::io::Result<Recorded>>) {
        let slot = Slot::default();
        let planned = self.plan_into(request, Some(&slot)).await;
        (planned, slot.take())
    }

    /// Says in a recording what must not be shown of it.
    pub(super) fn marked(&self, mut recorded: Recorded, ready: &Ready, words_masked: bool) -> Recorded {
        recorded.run.words_masked = words_masked;
        for (table, access) in ready.authority.tables() {
            recorded.run.tables.insert(table.to_owned());
            let Some(resource) = self.config.resources.get(access.resource()) else { continue };
            let columns = resource.columns.iter().filter(|(_, column)| column.sensitive);
            let columns: BTreeSet<String> = columns.map(|(name, _)| name.clone()).collect();
            if resource.key.iter().any(|name| columns.contains(name)) {
                recorded.run.sensitive_keys.insert(table.to_owned());
            }
            if !columns.is_empty() {
                recorded.run.sensitive.insert(table.to_owned(), columns);
            }
        }
        recorded
    }
}
