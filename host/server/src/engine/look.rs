//! What there is to see of runs, for commands and for the API alike.

use std::collections::BTreeMap;

use mendwright_core::plan::document::{Document, ResourceSummary};
use mendwright_store::{ChangeFilter, RunFilter, RunNumber, RunRecord, Store};

use super::problem;
use crate::api::look::ChangeBody;
use crate::api::run::{ListedBody, RunBody};
use crate::view::problem::Problem;

/// Rows that a plan inserts, updates and deletes.
pub(crate) type Amounts = (u64, u64, u64);

/// Of one resource. The document's counts are text.
pub(crate) fn amounts(resource: &ResourceSummary) -> Amounts {
    let count = |text: &str| text.parse().unwrap_or(0);
    (count(&resource.inserts), count(&resource.updates), count(&resource.deletes))
}

/// Of the run's plan, if it has one.
async fn amounts_of(store: &Store, run: &RunRecord) -> Result<Option<Amounts>, Problem> {
    if run.plan_digest.is_none() {
        return Ok(None);
    }
    let document = store.load_plan(run.number).await.map_err(problem::store)?.document;
    let sum = document.resources.iter().map(amounts).fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    Ok(Some(sum))
}

/// Runs, the newest first, each with what its plan comes to.
pub(crate) async fn list(store: &Store, filter: &RunFilter) -> Result<Vec<ListedBody>, Problem> {
    let mut listed = Vec::new();
    for run in store.list(filter).await.map_err(problem::store)? {
        let amounts = amounts_of(store, &run).await?;
        listed.push(ListedBody {
            run: RunBody::from(&run),
            inserts: amounts.map(|amounts| amounts.0),
            updates: amounts.map(|amounts| amounts.1),
            deletes: amounts.map(|amounts| amounts.2),
        });
    }
    Ok(listed)
}

/// A plan without its changes.
pub(crate) async fn document(store: &Store, run: RunNumber) -> Result<Document, Problem> {
    Ok(store.load_plan(run).await.map_err(problem::store)?.document)
}

/// A page of a plan's changes.
pub(crate) async fn changes(
    store: &Store,
    run: RunNumber,
    filter: &ChangeFilter,
    (after, limit): (u64, u32),
) -> Result<Vec<ChangeBody>, Problem> {
    let document = document(store, run).await?;
    let keys: BTreeMap<&str, &[String]> =
        document.resources.iter().map(|resource| (resource.name.as_str(), resource.key.as_slice())).collect();
    let page = store.changes(run, filter, after, limit).await.map_err(problem::store)?;
    let key = |resource: &str| keys.get(resource).copied().unwrap_or_default();
    Ok(page.iter().map(|stored| ChangeBody::new(stored, key(&stored.change.resource))).collect())
}
