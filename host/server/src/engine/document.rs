//! A plan as people and scripts see it.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::budget::{Metric, SHARE_WHOLE};
use mendwright_core::change::Action;
use mendwright_core::commitment::Bound;
use mendwright_core::plan::Masking;
use mendwright_core::plan::document::{
    Cell, CompensationAnswer, CompensationRecord, Document, FORMAT_VERSION, FindingRecord, NetRecord, Rehearsal,
    ResourceSummary,
};
use mendwright_core::plan::stats::ResourceStats;
use mendwright_core::port::Finding;
use mendwright_core::value::Value;
use mendwright_gateway::Computed;
use mendwright_gateway::repair::Rehearsed;
use mendwright_sandbox::Compensation;
use mendwright_store::RunRecord;

use super::execute::Execution;
use super::job::Ready;
use super::plan::BoundPlan;
use super::time::rfc3339;

/// What a document is made of.
pub(super) struct Parts<'a> {
    pub(super) run: &'a RunRecord,
    pub(super) ready: &'a Ready,
    pub(super) execution: &'a Execution,
    pub(super) plan: &'a BoundPlan,
    pub(super) masking: &'a Masking,
    pub(super) rehearsal: Rehearsed,
    pub(super) expires_at_us: i64,
    pub(super) keep_us: i64,
}

/// Counts and net effects of each resource. Masked columns have none.
pub(super) fn stats(
    computed: &Computed,
    sensitive: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeMap<String, ResourceStats> {
    let mut all: BTreeMap<String, ResourceStats> = BTreeMap::new();
    for change in computed.changes() {
        let masked = sensitive.get(&change.resource);
        all.entry(change.resource.clone())
            .or_default()
            .count(&change, |column| masked.is_some_and(|masked| masked.contains(column)));
    }
    all
}

/// The document, without the list of changes.
pub(super) fn build(parts: &Parts<'_>) -> Document {
    let Parts { run, ready, execution, plan, masking, rehearsal, expires_at_us, keep_us } = parts;
    Document {
        format_version: FORMAT_VERSION.to_owned(),
        digest: plan.digest,
        run: run.id.to_string(),
        number: run.number.get(),
        created_at: rfc3339(run.created_at_us),
        expires_at: rfc3339(*expires_at_us),
        environment: run.environment.clone(),
        requested_by: run.requested_by.clone(),
        compensation: compensation(run, execution),
        header: plan.header.clone(),
        because: plan.because.clone(),
        resources: resources(parts),
        summary: execution.summary.clone(),
        findings: execution.findings.iter().map(|finding| finding_record(finding, ready, execution, masking)).collect(),
        checks: execution.checks.clone(),
        rehearsal: rehearsal_record(rehearsal, &execution.computed, run.created_at_us.saturating_add(*keep_us)),
        measured: execution
            .meter
            .snapshot()
            .into_iter()
            .map(|(metric, used)| (metric.word().to_owned(), used.to_string()))
            .filter(|(metric, _)| metric != Metric::Cursors.word())
            .collect(),
        changes: Vec::new(),
    }
}

fn compensation(run: &RunRecord, execution: &Execution) -> Option<CompensationRecord> {
    let (of, said) = run.compensates.zip(execution.compensation)?;
    let answer = match said {
        Compensation::Restore => CompensationAnswer::Restore,
        Compensation::Proposed => CompensationAnswer::Proposed,
    };
    Some(CompensationRecord { of: of.get(), answer })
}

fn resources(parts: &Parts<'_>) -> Vec<ResourceSummary> {
    let computed = &parts.execution.computed;
    let stats = stats(computed, &parts.execution.sensitive);
    let nothing = ResourceStats::default();
    computed
        .bindings
        .iter()
        .map(|(name, resolved)| {
            let stats = stats.get(name).unwrap_or(&nothing);
            let usage = computed.usage.get(name).cloned().unwrap_or_default();
            let share = stats.share(usage.rows_of_tenant);
            // What the run may see of it; a delete shows every bound column.
            let used = |column: &String| {
                stats.deletes > 0
                    || resolved.key.contains(column)
                    || parts.ready.authority.tables().any(|(_, a)| a.resource() == name && a.reads(column))
            };
            let columns = resolved.columns.iter().filter(|(column, _)| used(column));
            ResourceSummary {
                name: name.clone(),
                database: resolved.database.clone(),
                class: resolved.class,
                key: resolved.key.clone(),
                columns: columns
                    .clone()
                    .map(|(column, c)| {
                        let currency = c.currency.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
                        (column.clone(), format!("{}{currency}", c.kind))
                    })
                    .collect(),
                sensitive: columns.filter(|(_, c)| c.sensitive).map(|(column, _)| column.clone()).collect(),
                rows_read: usage.rows_read.to_string(),
                rows_of_tenant: usage.rows_of_tenant.to_string(),
                inserts: stats.inserts.to_string(),
                updates: stats.updates.to_string(),
                deletes: stats.deletes.to_string(),
                share: format!("{}.{:04}", share / SHARE_WHOLE, share % SHARE_WHOLE),
                net: stats
                    .net
                    .iter()
                    .map(|(column, net)| {
                        let record = NetRecord {
                            before: net.before.to_string(),
                            after: net.after.to_string(),
                            delta: net.delta().to_string(),
                        };
                        (column.clone(), record)
                    })
                    .collect(),
            }
        })
        .collect()
}

fn finding_record(finding: &Finding, ready: &Ready, execution: &Execution, masking: &Masking) -> FindingRecord {
    let resource = ready.authority.table(&finding.table).map_or(finding.table.as_str(), |access| access.resource());
    let resolved = execution.computed.bindings.get(resource);
    let key = resolved.map(|resolved| resolved.key.clone()).unwrap_or_default();
    let bound = masking.bind_key(resource, &finding.key, &key);
    // In a run whose words are masked, what cannot be a value of the key is one more word.
    let fits = |(column, value): (&String, &Value)| {
        resolved.and_then(|r| r.columns.get(column)).is_some_and(|column| value.fits(column.kind))
    };
    let is_key = !execution.words_masked || key.iter().zip(&finding.key.0).all(fits);
    let cell = |bound: &Bound| if is_key { Cell::from(bound) } else { Cell::Masked { masked: String::new() } };
    FindingRecord {
        code: finding.code.clone(),
        severity: finding.severity,
        resource: resource.to_owned(),
        key: key.iter().cloned().zip(bound.iter().map(cell)).collect(),
        message: finding.message.clone(),
    }
}

fn rehearsal_record(rehearsed: &Rehearsed, computed: &Computed, undo_until_us: i64) -> Rehearsal {
    let written: BTreeSet<&str> = computed.touched().map(|touched| touched.resource).collect();
    let bindings = || computed.bindings.iter().filter(|(name, _)| written.contains(name.as_str()));
    let triggers = bindings()
        .flat_map(|(_, resolved)| &resolved.side_effects)
        .filter(|effect| matches!(effect.what.as_str(), "trigger" | "rule"))
        .map(|effect| effect.name.clone());
    let deletes = computed.touched().filter(|touched| touched.action == Action::Delete);
    let deleted: BTreeSet<&str> = deletes.map(|touched| touched.resource).collect();
    let cascades = bindings()
        .filter(|(name, _)| deleted.contains(name.as_str()))
        .flat_map(|(_, resolved)| resolved.cascades.iter().cloned());
    let (passed, detail) = match rehearsed {
        Rehearsed::Passed => (Some(true), String::new()),
        Rehearsed::NotHeld(why) | Rehearsed::Busy(why) => (None, why.clone()),
    };
    Rehearsal {
        passed,
        detail,
        triggers: triggers.collect(),
        cascades: cascades.collect(),
        undo_until: if written.is_empty() { String::new() } else { rfc3339(undo_until_us) },
    }
}
