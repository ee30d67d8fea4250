//! Runs and plans that tests put into a store: this crate's own, and those that hold both engines against
//! each other.

use mendwright_core::budget::Budget;
use mendwright_core::change::Action;
use mendwright_core::class::Class;
use mendwright_core::commitment::{Bound, Commitment};
use mendwright_core::id::RunId;
use mendwright_core::level::Level;
use mendwright_core::plan::bound::root;
use mendwright_core::plan::document::{Document, FORMAT_VERSION, Rehearsal, ResourceSummary};
use mendwright_core::plan::header::{Frozen, JobRef, Outcome, Target};
use mendwright_core::plan::{BoundChange, Digest, Header};
use mendwright_core::value::Value;

use crate::{NewRun, RunRecord};

/// 2025-11-20, in microseconds.
pub const NOW: i64 = 1_763_608_329_000_000;

/// A new run; each call another id.
#[must_use]
pub fn new_run(tenant: &str) -> NewRun {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut random = [0xc0; 10];
    random[2..].copy_from_slice(&unique);
    NewRun {
        id: RunId::from_time(1_763_608_329_000, random),
        tenant: tenant.into(),
        job_name: "reconcile_invoices".into(),
        job_version: "1.0.0".into(),
        requested_by: "person:alice".into(),
        environment: "demo".into(),
        params: serde_json::json!({"rounding": "half-even"}),
        frozen_now_us: NOW,
        frozen_seed: "5f1d9ab2c47e0388".into(),
        parent: None,
        compensates: None,
        nonce: "00".repeat(16),
        only: vec![],
    }
}

#[allow(clippy::unwrap_used, reason = "constants that are decimals")]
/// The i-th change of a plan.
#[must_use]
pub fn change(i: i64) -> BoundChange {
    BoundChange {
        resource: "invoices".into(),
        key: vec![Bound::Shown(Value::Integer(i))],
        action: Action::Update,
        before: [
            ("address".to_owned(), Bound::Masked(Commitment([7; 32]))),
            ("total".to_owned(), Bound::Shown(Value::Decimal("9.90".parse().unwrap()))),
        ]
        .into(),
        after: [("total".to_owned(), Bound::Shown(Value::Decimal("0.99".parse().unwrap())))].into(),
        reason: format!("sum of {i} lines"),
    }
}

/// The first `n` changes of a plan.
#[must_use]
pub fn changes(n: i64) -> Vec<BoundChange> {
    (1..=n).map(change).collect()
}

/// A header over these changes.
#[must_use]
pub fn header(run: &RunRecord, changes: &[BoundChange]) -> Header {
    Header {
        job: JobRef {
            name: run.job_name.clone(),
            version: run.job_version.clone(),
            wit: "mendwright:repair@0.1.0".into(),
            component: Digest([1; 32]),
            manifest: Digest([2; 32]),
        },
        params: run.params.clone(),
        params_masked: false,
        tenant: run.tenant.clone(),
        grants: vec!["reconcile-eu".into()],
        grants_digest: Digest([3; 32]),
        budget: Budget::default(),
        frozen: Frozen { now_us: run.frozen_now_us.to_string(), seed: run.frozen_seed.clone() },
        bindings: [("invoices".to_owned(), Digest([4; 32]))].into(),
        targets: vec![Target {
            database: "chinook".into(),
            engine: "sqlite".into(),
            identity: "tgt_0".into(),
            name: "chinook.db".into(),
            system: String::new(),
        }],
        outcome: Outcome { level: Level::Assisted, approvals_needed: 1 },
        independent: true,
        only: vec![],
        compensates: None,
        stable_reads: [].into(),
        changes_count: changes.len().to_string(),
        changes_root: Digest(root(changes)),
    }
}

/// A document that goes with a header.
#[must_use]
pub fn document(run: &RunRecord, header: &Header) -> Document {
    let resource = |name: &str, updates: &str| ResourceSummary {
        name: name.into(),
        database: "chinook".into(),
        class: Class::Ledger,
        key: vec!["id".into()],
        columns: [("id".to_owned(), "integer".to_owned())].into(),
        sensitive: vec!["address".into()],
        rows_read: "28".into(),
        rows_of_tenant: "28".into(),
        inserts: "0".into(),
        updates: updates.into(),
        deletes: "0".into(),
        share: "0.2143".into(),
        net: [].into(),
    };
    Document {
        format_version: FORMAT_VERSION.into(),
        digest: header.digest(),
        run: run.id.to_string(),
        number: run.number.get(),
        created_at: "2025-11-20T03:12:09.000000Z".into(),
        expires_at: "2025-11-20T11:12:09.000000Z".into(),
        environment: run.environment.clone(),
        requested_by: run.requested_by.clone(),
        compensation: None,
        header: header.clone(),
        because: vec![],
        resources: vec![resource("invoices", &header.changes_count), resource("invoice_lines", "0")],
        summary: "done".into(),
        findings: vec![],
        checks: vec![],
        rehearsal: Rehearsal::default(),
        measured: [].into(),
        changes: vec![],
    }
}

impl crate::Store {
    /// Lets time pass for leases and pauses, as far as the database can tell.
    ///
    /// # Errors
    /// As any write.
    pub async fn pass_time(&self, by_us: i64) -> crate::Result<()> {
        let failed = self.failed("letting time pass");
        let mut writer = self.writer().await?;
        let sql = "UPDATE runs SET lease_until_us = lease_until_us - $1, due_at_us = due_at_us - $1";
        crate::db::query(sql).bind(by_us).execute(writer.conn()).await.map_err(failed)?;
        Ok(())
    }

    /// Makes leases last at least so much longer, as if they had been renewed so late.
    ///
    /// # Errors
    /// As any write.
    pub async fn prolong_leases(&self, by_us: i64) -> crate::Result<()> {
        let failed = self.failed("making leases last longer");
        let sql = self.timed(
            "UPDATE runs SET lease_until_us = lease_until_us + $1 \
             WHERE lease_until_us > {now} AND lease_until_us < {now} + $1 / 2",
        );
        let mut writer = self.writer().await?;
        crate::db::query(sql).bind(by_us).execute(writer.conn()).await.map_err(failed)?;
        Ok(())
    }
}
