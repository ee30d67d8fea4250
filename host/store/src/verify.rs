//! Believing a stored plan: everything is computed again from what is stored, and must agree.

use std::collections::BTreeMap;

use mendwright_core::change::Action;
use mendwright_core::merkle::Tree;
use mendwright_core::plan::document::Document;
use mendwright_core::plan::{BoundChange, Digest, Header};

use crate::changes::ChangeRow;
use crate::db::query::storable;
use crate::error::{Error, Result};
use crate::plan::{StoredPlan, read_plan};
use crate::run::{RunNumber, RunRecord, read};
use crate::store::Store;

/// Changes of one resource by action, in [`Action::ALL`]'s order.
type Counts = [u64; Action::ALL.len()];

/// The sums over a plan's changes, from one pass over them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tree: Tree,
    counts: BTreeMap<String, Counts>,
    previous: Option<BoundChange>,
}

impl Tally {
    /// Counts one change.
    pub(crate) fn push(&mut self, change: &BoundChange, leaf: &str) -> std::result::Result<(), String> {
        // A digest must not depend on the order of discovery, and no row may be changed twice.
        if self.previous.as_ref().is_some_and(|previous| previous.order(change).is_ge()) {
            return Err(format!("{}/{} is not in the plan's order", change.resource, change.key_text()));
        }
        self.tree.push(leaf.as_bytes());
        let counts = self.counts.entry(change.resource.clone()).or_default();
        for (count, action) in counts.iter_mut().zip(Action::ALL) {
            *count += u64::from(action == change.action);
        }
        self.previous = Some(change.clone());
        Ok(())
    }

    /// Compares with what header and document say of the changes.
    pub(crate) fn finish(&self, header: &Header, document: &Document) -> std::result::Result<(), String> {
        if header.changes_count != self.tree.size().to_string() {
            return Err(format!("there are {} changes, not {}", self.tree.size(), header.changes_count));
        }
        if header.changes_root != Digest(self.tree.root()) {
            return Err("the root over the changes differs".to_owned());
        }
        let mut listed = BTreeMap::new();
        for resource in &document.resources {
            let shown = [&resource.inserts, &resource.updates, &resource.deletes];
            let counted = self.counts.get(&resource.name).copied().unwrap_or_default();
            if shown.into_iter().zip(counted).any(|(shown, counted)| *shown != counted.to_string()) {
                return Err(format!("the document miscounts the changes of `{}`", resource.name));
            }
            listed.insert(resource.name.as_str(), ());
        }
        match self.counts.keys().find(|name| !listed.contains_key(name.as_str())) {
            Some(name) => Err(format!("the document does not list `{name}`, which changes")),
            None => Ok(()),
        }
    }
}

fn numbered(run: Option<u64>) -> String {
    run.map_or_else(String::new, |run| run.to_string())
}

/// What run, header and document say differently of the same thing, if anything.
pub(crate) fn disagreement(run: &RunRecord, header: &Header, document: &Document) -> Option<String> {
    let pairs = [
        ("tenant", header.tenant.clone(), run.tenant.clone()),
        ("job", header.job.name.clone(), run.job_name.clone()),
        ("job's version", header.job.version.clone(), run.job_version.clone()),
        ("frozen time", header.frozen.now_us.clone(), run.frozen_now_us.to_string()),
        ("seed", header.frozen.seed.clone(), run.frozen_seed.clone()),
        ("run's id", document.run.clone(), run.id.to_string()),
        ("run's number", document.number.to_string(), run.number.get().to_string()),
        ("environment", document.environment.clone(), run.environment.clone()),
        ("requester", document.requested_by.clone(), run.requested_by.clone()),
        (
            "compensated run",
            numbered(document.compensation.map(|of| of.of)),
            numbered(run.compensates.map(RunNumber::get)),
        ),
        ("compensated plan", header.compensates.is_some().to_string(), run.compensates.is_some().to_string()),
        ("document's digest", document.digest.to_string(), header.digest().to_string()),
    ];
    if let Some((what, _, _)) = pairs.iter().find(|(_, a, b)| a != b) {
        return Some(format!("the {what} differs"));
    }
    if document.header != *header {
        return Some("the document's header differs".to_owned());
    }
    (!document.changes.is_empty()).then(|| "the document lists changes that belong beside it".to_owned())
}

impl Store {
    /// The plan of a run, after computing everything about it again from what is stored: each leaf, the
    /// root over them, the digest over the header, what run and document say of them. In one snapshot
    /// and bounded memory.
    ///
    /// Texts that no digest covers (reasons, findings, messages) are stored as they are.
    ///
    /// # Errors
    /// [`Error::PlanTampered`] where anything differs; such a plan must not be applied.
    /// [`Error::NoPlan`], [`Error::RunUnknown`].
    pub async fn verify_plan(&self, run: RunNumber) -> Result<StoredPlan> {
        let failed = self.failed("verifying a plan");
        let tampered = |what: String| Error::PlanTampered { run, what };
        let mut reader = self.reader().await?;
        let mut snapshot = reader.begin_read().await.map_err(failed)?;
        let record = read(snapshot.conn(), run, failed).await?;
        let row = match read_plan(snapshot.conn(), run, failed).await {
            Err(Error::NoPlan { .. }) if record.plan_digest.is_some() => return Err(tampered("it is gone".to_owned())),
            other => other?,
        };
        let header_text = row.header.clone();
        let plan = row.into_plan(run).map_err(|e| tampered(e.to_string()))?;
        // Keys that this version does not know would otherwise be dropped unseen.
        if serde_json::to_string(&plan.header).ok().as_ref() != Some(&header_text) {
            return Err(tampered("the header is not as it was written".to_owned()));
        }
        let digest = plan.header.digest();
        if plan.digest != digest || record.plan_digest != Some(digest) {
            return Err(tampered("the digest is not the header's".to_owned()));
        }
        if let Some(what) = disagreement(&record, &plan.header, &plan.document) {
            return Err(tampered(what));
        }
        let mut tally = Tally::default();
        let mut expected = 1;
        let mut after = i64::MIN;
        loop {
            let page = ChangeRow::after(run, after, snapshot.conn()).await.map_err(failed)?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            for row in page {
                check_row(&row, expected, &mut tally).map_err(tampered)?;
                expected += 1;
            }
        }
        tally.finish(&plan.header, &plan.document).map_err(tampered)?;
        Ok(plan)
    }
}

fn check_row(row: &ChangeRow, expected: i64, tally: &mut Tally) -> std::result::Result<(), String> {
    let ChangeRow { seq, resource, key_text, leaf, reason } = row;
    if *seq != expected {
        return Err(format!("change {expected} is missing"));
    }
    let change = BoundChange::from_leaf(leaf, reason.clone()).ok_or_else(|| format!("change {seq} is unreadable"))?;
    if change.leaf() != *leaf || change.resource != *resource || storable(&change.key_text()) != *key_text {
        return Err(format!("change {seq} is not as it was written"));
    }
    tally.push(&change, leaf)
}

#[cfg(test)]
mod tests {
    use mendwright_core::code::Code;

    use crate::testing::{changes, opened, planned, planning, save, tamper};

    #[tokio::test]
    async fn a_plan_that_nobody_touched_is_believed() {
        let (_dir, store) = opened().await;
        for n in [0, 1, 200] {
            let run = planned(&store, "Germany", n).await;
            assert_eq!(store.verify_plan(run).await.unwrap(), store.load_plan(run).await.unwrap());
        }
    }

    #[tokio::test]
    async fn whatever_is_edited_in_a_stored_plan_it_is_no_longer_believed() {
        let edits = [
            ("the header", r#"UPDATE plans SET header = replace(header, '"Germany"', '"France"')"#),
            (
                "a count in the header",
                r#"UPDATE plans SET header = replace(header, '"changes_count":"5"', '"changes_count":"4"')"#,
            ),
            ("a key that nobody knows", r#"UPDATE plans SET header = replace(header, '{"job"', '{"x":1,"job"')"#),
            ("a header that is no JSON", "UPDATE plans SET header = '{'"),
            (
                "the document's counts",
                r#"UPDATE plans SET document = replace(document, '"updates":"5"', '"updates":"1"')"#,
            ),
            (
                "the document's header",
                r#"UPDATE plans SET document = replace(document, '"approvals_needed":1', '"approvals_needed":0')"#,
            ),
            (
                "the document's requester",
                r#"UPDATE plans SET document = replace(document, 'person:alice', 'person:bob')"#,
            ),
            (
                "the document's resources",
                r#"UPDATE plans SET document = replace(document, '"name":"invoices"', '"name":"other"')"#,
            ),
            (
                "the document's changes",
                r#"UPDATE plans SET document = replace(document, '"measured":{}', '"measured":{},"changes":[{"resource":"r","action":"delete","key":{},"before":{},"after":{},"reason":""}]')"#,
            ),
            ("the plan's digest", "UPDATE plans SET digest = 'sha256:' || substr(digest, 9) || 'a'"),
            ("the digest altogether", "UPDATE plans SET digest = 'x'"),
            (
                "the run's digest",
                "UPDATE runs SET plan_digest = 'sha256:' || substr(plan_digest, 9) || substr(plan_digest, 8, 1)",
            ),
            ("the run's tenant", "UPDATE runs SET tenant = 'France'"),
            ("a leaf", "UPDATE plan_changes SET leaf = replace(leaf, 'd:0.99', 'd:99') WHERE seq = 3"),
            ("a commitment", "UPDATE plan_changes SET leaf = replace(leaf, 'c:07', 'c:08') WHERE seq = 3"),
            ("a leaf's spaces", "UPDATE plan_changes SET leaf = leaf || ' ' WHERE seq = 3"),
            ("a leaf that is no change", "UPDATE plan_changes SET leaf = '{}' WHERE seq = 3"),
            ("what a leaf is found by", "UPDATE plan_changes SET key_text = '77' WHERE seq = 3"),
            ("what a leaf is filtered by", "UPDATE plan_changes SET resource = 'other' WHERE seq = 3"),
            ("a change in the middle", "DELETE FROM plan_changes WHERE seq = 3"),
            ("the last change", "DELETE FROM plan_changes WHERE seq = 5"),
            ("all changes", "DELETE FROM plan_changes"),
            (
                "one change more",
                "INSERT INTO plan_changes SELECT run, 6, resource, '6', replace(leaf, 'i:5', 'i:6'), reason FROM plan_changes WHERE seq = 5",
            ),
            (
                "one change twice",
                "INSERT INTO plan_changes SELECT run, 6, resource, key_text, leaf, reason FROM plan_changes WHERE seq = 5",
            ),
            (
                "the order",
                "UPDATE plan_changes SET seq = 9 WHERE seq = 1; UPDATE plan_changes SET seq = 1 WHERE seq = 2; UPDATE plan_changes SET seq = 2 WHERE seq = 9",
            ),
            ("the plan itself", "PRAGMA foreign_keys = OFF; DELETE FROM plans"),
        ];
        for (what, sql) in edits {
            let (_dir, store) = opened().await;
            let run = planned(&store, "Germany", 5).await;
            let before = store.verify_plan(run).await.unwrap();
            tamper(&store, sql).await.unwrap();
            let error = store.verify_plan(run).await.map(|plan| (plan == before, what)).unwrap_err();
            assert_eq!(error.code(), Code::PlanTampered, "{what}: {error}");
            assert!(error.hint().contains("run plan --again 1"), "{}", error.hint());
        }
    }

    #[tokio::test]
    async fn a_run_without_a_plan_has_none_to_believe() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        assert_eq!(store.verify_plan(run.number).await.unwrap_err().code(), Code::RunState);
        assert_eq!(store.verify_plan(crate::RunNumber::new(7)).await.unwrap_err().code(), Code::RunUnknown);
        assert!(save(&store, &run, &changes(1), &[]).await.is_ok());
    }
}
