//! The plan of the examples, for the tests of every view.

use std::collections::BTreeMap;

use mendwright_core::budget::{Budget, Metric};
use mendwright_core::change::Action;
use mendwright_core::class::Class;
use mendwright_core::level::{Because, Level};
use mendwright_core::plan::document::{
    Cell, ChangeRecord, Document, FORMAT_VERSION, FindingRecord, NetRecord, Rehearsal, ResourceSummary,
};
use mendwright_core::plan::header::{Digest, Frozen, Header, JobRef, Outcome, Target};
use mendwright_core::port::Severity;

pub(super) fn plain(text: &str) -> Cell {
    Cell::Plain(Some(text.to_owned()))
}

pub(super) fn masked(hex: &str) -> Cell {
    Cell::Masked { masked: hex.repeat(16) }
}

pub(super) fn cells<const N: usize>(cells: [(&str, Cell); N]) -> BTreeMap<String, Cell> {
    cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect()
}

pub(super) fn change(
    action: Action,
    key: BTreeMap<String, Cell>,
    before: BTreeMap<String, Cell>,
    after: BTreeMap<String, Cell>,
    reason: &str,
) -> ChangeRecord {
    ChangeRecord { resource: "invoices".into(), action, key, before, after, reason: reason.into() }
}

/// An update of `invoices.total`.
pub(super) fn total(id: &str, before: &str, after: &str, reason: &str) -> ChangeRecord {
    change(
        Action::Update,
        cells([("id", plain(id))]),
        cells([("total", plain(before))]),
        cells([("total", plain(after))]),
        reason,
    )
}

pub(super) fn resource(name: &str, columns: &[(&str, &str)]) -> ResourceSummary {
    ResourceSummary {
        name: name.into(),
        database: "chinook".into(),
        class: Class::Ledger,
        key: vec!["id".into()],
        columns: columns.iter().map(|(c, k)| ((*c).to_owned(), (*k).to_owned())).collect(),
        sensitive: Vec::new(),
        rows_read: "28".into(),
        rows_of_tenant: "28".into(),
        inserts: "0".into(),
        updates: "0".into(),
        deletes: "0".into(),
        share: "0.0000".into(),
        net: BTreeMap::new(),
    }
}

fn header() -> Header {
    let digest = Digest::of(b"");
    Header {
        job: JobRef {
            name: "reconcile_invoices".into(),
            version: "1.0.0".into(),
            wit: "mendwright:repair@0.1.0".into(),
            component: digest,
            manifest: digest,
        },
        params: serde_json::json!({}),
        params_masked: false,
        tenant: "Germany".into(),
        grants: vec!["reconcile-eu".into()],
        grants_digest: digest,
        budget: Budget {
            limits: BTreeMap::from([(Metric::Fuel, 2_000_000_000), (Metric::RowsRead, 2_000_000)]),
            share_changed: None,
        },
        frozen: Frozen { now_us: "1795144329000000".into(), seed: "5f1d9ab2c47e0388".into() },
        bindings: BTreeMap::new(),
        targets: vec![Target {
            database: "chinook".into(),
            engine: "sqlite".into(),
            identity: "tgt_1".into(),
            name: "chinook.db".into(),
            system: String::new(),
        }],
        outcome: Outcome { level: Level::Assisted, approvals_needed: 1 },
        independent: true,
        only: Vec::new(),
        compensates: None,
        stable_reads: Vec::new(),
        changes_count: "6".into(),
        changes_root: digest,
    }
}

fn finding(resource: &str, key: &str, code: &str, message: &str) -> FindingRecord {
    FindingRecord {
        code: code.into(),
        severity: Severity::Error,
        resource: resource.into(),
        key: cells([("id", plain(key))]),
        message: message.into(),
    }
}

/// The plan of `docs`' first example: six totals of German invoices.
pub(super) fn document() -> Document {
    let mut digest = [0; 32];
    for (place, byte) in digest.iter_mut().zip([0xb8, 0xe9, 0x6a, 0x74, 0x49, 0x77, 0x6a, 0xc9, 0xb2, 0x80, 0x16, 0x55])
    {
        *place = byte;
    }
    let mut invoices = resource("invoices", &[("id", "integer"), ("total", "decimal(10,2) USD")]);
    invoices.updates = "6".into();
    invoices.share = "0.2143".into();
    invoices.net.insert(
        "total".into(),
        NetRecord { before: "149.2629".into(), after: "157.47".into(), delta: "8.2071".into() },
    );
    let mut lines = resource("invoice_lines", &[("id", "integer")]);
    lines.rows_read = "152".into();
    Document {
        format_version: FORMAT_VERSION.into(),
        digest: Digest(digest),
        run: "run_01936e0c7b1a7c3e8f00000000000001".into(),
        number: 1042,
        created_at: "2026-11-20T03:12:09.000000Z".into(),
        expires_at: "2026-11-20T11:12:09.000000Z".into(),
        environment: "demo".into(),
        requested_by: "person:alice".into(),
        compensation: None,
        header: header(),
        because: vec![Because::ResourceClass { resource: "invoices".into(), column: None, class: Class::Ledger }],
        resources: vec![lines, invoices],
        summary: String::new(),
        findings: vec![
            finding(
                "invoice_lines",
                "900001",
                "duplicate_line",
                "equals line 1063 of invoice 196; the invoice stays as it is",
            ),
            finding("invoices", "321", "invoice_without_lines", "no line to sum; the total stays as it is"),
        ],
        checks: Vec::new(),
        rehearsal: Rehearsal {
            passed: Some(true),
            undo_until: "2026-12-20T03:12:09.000000Z".into(),
            ..Rehearsal::default()
        },
        measured: BTreeMap::from([
            ("fuel".to_owned(), "642948".to_owned()),
            ("rows_read".to_owned(), "180".to_owned()),
            ("wall_time".to_owned(), "3".to_owned()),
        ]),
        changes: vec![
            total("6", "9.9", "0.99", "sum of 1 line"),
            total("12", "0", "13.86", "sum of 14 lines"),
            total("40", "13.859999999999998", "13.86", "sum of 14 lines"),
            total("52", "5.94", "6.93", "sum of 6 lines"),
            total("67", "10.6029", "8.91", "sum of 9 lines"),
            total("127", "-1.98", "1.98", "sum of 2 lines"),
        ],
    }
}
