//! A plan from the control store, as the views take it.

use std::collections::BTreeMap;

use mendwright_core::plan::document::{ChangeRecord, Document, ResourceSummary};
use mendwright_core::policy::{Effect, Stage};
use mendwright_store::{ChangeFilter, RunNumber, StoredChange};

use crate::cli::door::Books;
use crate::config::Config;
pub(super) use crate::engine::look::amounts;
use crate::engine::rfc3339;
use crate::view::plan::{Policy, ROWS_MAX};
use crate::view::problem::Problem;

/// Changes that are read from the control store at once.
const PAGE: u32 = 2_000;

/// A plan and as many of its changes as were asked for.
pub(super) struct Loaded {
    pub(super) document: Document,
    pub(super) changes: Vec<ChangeRecord>,
}

/// Which changes to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// As many of each resource as a view shows unless somebody asks for more.
    First,
    /// Every one.
    All,
    /// None.
    No,
}

/// The plan of a run.
pub(super) async fn load(books: Books<'_>, run: RunNumber, wanted: Wanted) -> Result<Loaded, Problem> {
    let document = books.document(run).await?;
    let keys = Keys::new(&document);
    let mut changes = Vec::new();
    match wanted {
        Wanted::No => {}
        Wanted::First => {
            let limit = u32::try_from(ROWS_MAX).unwrap_or(u32::MAX);
            for resource in document.resources.iter().filter(|resource| total(resource) > 0) {
                let filter = ChangeFilter { resource: Some(resource.name.clone()), ..ChangeFilter::default() };
                let page = books.changes(run, &filter, (0, limit)).await?;
                changes.extend(page.iter().map(|stored| keys.record(stored)));
            }
        }
        Wanted::All => {
            let mut pages = Pages::new(books, run);
            while let Some(page) = pages.next().await? {
                changes.extend(page.iter().map(|stored| keys.record(stored)));
            }
        }
    }
    Ok(Loaded { document, changes })
}

/// The changes of a plan, a page at a time.
pub(super) struct Pages<'a> {
    books: Books<'a>,
    run: RunNumber,
    after: u64,
}

impl<'a> Pages<'a> {
    pub(super) const fn new(books: Books<'a>, run: RunNumber) -> Self {
        Self { books, run, after: 0 }
    }

    /// The next page; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredChange>>, Problem> {
        let page = self.books.changes(self.run, &ChangeFilter::default(), (self.after, PAGE)).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = last.seq;
        Ok(Some(page))
    }
}

/// The key columns of a plan's resources.
pub(super) struct Keys<'a>(BTreeMap<&'a str, &'a [String]>);

impl<'a> Keys<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self(document.resources.iter().map(|r| (r.name.as_str(), r.key.as_slice())).collect())
    }

    /// The document's form of a change.
    pub(super) fn record(&self, stored: &StoredChange) -> ChangeRecord {
        let key = self.0.get(stored.change.resource.as_str()).copied().unwrap_or_default();
        ChangeRecord::new(&stored.change, key)
    }
}

/// How many changes the plan makes in a resource.
pub(super) fn total(resource: &ResourceSummary) -> u64 {
    let (inserts, updates, deletes) = amounts(resource);
    inserts.saturating_add(updates).saturating_add(deletes)
}

/// The manifest's line on what a job does; empty where the job is no longer there.
pub(super) fn job_summary(config: &Config, job: &str) -> String {
    let manifest = config.jobs.as_ref().and_then(|jobs| mendwright_catalog::jobs::find(&jobs.path, job).ok());
    manifest.map(|manifest| manifest.summary).unwrap_or_default()
}

/// RFC 3339, or nothing where there is no time.
pub(in crate::cli) fn rfc3339_or_empty(us: Option<i64>) -> String {
    us.map(rfc3339).unwrap_or_default()
}

/// `6 changes`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// What policy said last of a plan, for its view.
pub(super) async fn policy_of(books: Books<'_>, run: RunNumber) -> Result<Option<Policy>, Problem> {
    // Before the plan it spoke of something else.
    let before = Stage::BeforePlanning.word();
    let Some(last) = books.decisions(run).await?.decisions.pop().filter(|last| last.stage != before) else {
        return Ok(None);
    };
    let missing: Vec<String> = last.answer.missing.iter().map(ToString::to_string).collect();
    let text = match last.answer.effect {
        Effect::Allow => "it may be applied".to_owned(),
        Effect::NeedsApproval => format!("waits for {}", missing.join("; ")),
        Effect::Deny => format!("not yet: {}", missing.join("; ")),
    };
    Ok(Some(Policy { text, by: last.answer.by }))
}
