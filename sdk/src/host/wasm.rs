//! The component's imports and exports.

use crate::contract::{
    Check, ColumnInfo, Compensation, Failure, Finding, Found, HostResult, Identity, Level, Page, Planned, Query,
    RowChange, RowRemoval, Value,
};
use crate::job::{self, Repair};
use crate::row::Row;

#[expect(missing_docs, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit/repair@0.1.0",
        world: "repair-job",
        runtime_path: "::mendwright_sdk::__private::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "__export_repair_job",
        default_bindings_module: "::mendwright_sdk::__private::bindings",
        with: {
            "mendwright:repair/types@0.1.0": crate::contract,
            "mendwright:repair/run@0.1.0/identity": crate::contract::Identity,
            "mendwright:repair/run@0.1.0/level": crate::contract::Level,
            "mendwright:repair/tables@0.1.0/packed": crate::contract::Packed,
            "mendwright:repair/tables@0.1.0/decimals": crate::contract::Decimals,
            "mendwright:repair/tables@0.1.0/vector": crate::contract::Vector,
            "mendwright:repair/tables@0.1.0/column-values": crate::contract::ColumnValues,
            "mendwright:repair/tables@0.1.0/page": crate::contract::Page,
            "mendwright:repair/tables@0.1.0/found": crate::contract::Found,
            "mendwright:repair/tables@0.1.0/comparison": crate::contract::Comparison,
            "mendwright:repair/tables@0.1.0/filter": crate::contract::Filter,
            "mendwright:repair/tables@0.1.0/query": crate::contract::Query,
            "mendwright:repair/tables@0.1.0/column": crate::contract::ColumnInfo,
            "mendwright:repair/table-writes@0.1.0/cell": crate::contract::Cell,
            "mendwright:repair/table-writes@0.1.0/change": crate::contract::RowChange,
            "mendwright:repair/table-writes@0.1.0/removal": crate::contract::RowRemoval,
        },
    });
}

use bindings::mendwright::repair::{run, table_writes, tables};

pub(crate) use tables::Cursor;

pub(crate) fn note_row<R: Row>() {}

pub(crate) fn who() -> Identity {
    run::who()
}

pub(crate) fn params() -> String {
    run::params()
}

pub(crate) fn random() -> u64 {
    run::random()
}

pub(crate) fn log(level: Level, message: &str) -> HostResult<()> {
    run::log(level, message)
}

pub(crate) fn progress(done: u64, total: u64) {
    run::progress(done, total);
}

pub(crate) fn report_finding(finding: &Finding) -> HostResult<()> {
    run::report_finding(finding)
}

pub(crate) fn report_check(check: &Check) -> HostResult<()> {
    run::report_check(check)
}

pub(crate) fn describe(table: &str) -> HostResult<Vec<ColumnInfo>> {
    tables::describe(table)
}

pub(crate) fn get(table: &str, keys: &[Vec<Value>], columns: &[String]) -> HostResult<Found> {
    tables::get(table, keys, columns)
}

pub(crate) fn scan(query: &Query) -> HostResult<Cursor> {
    tables::scan(query)
}

pub(crate) fn next_page(cursor: &Cursor) -> HostResult<Page> {
    cursor.next_page()
}

pub(crate) fn insert(table: &str, rows: Vec<RowChange>) -> HostResult<()> {
    table_writes::insert(table, &rows)
}

pub(crate) fn update(table: &str, rows: Vec<RowChange>) -> HostResult<()> {
    table_writes::update(table, &rows)
}

pub(crate) fn delete(table: &str, rows: Vec<RowRemoval>) -> HostResult<()> {
    table_writes::delete(table, &rows)
}

/// The exports of the component that runs job `J`.
#[derive(Debug)]
pub struct Export<J>(std::marker::PhantomData<J>);

fn planned(changes: Vec<bindings::Planned>) -> Vec<Planned> {
    changes.into_iter().map(|row| Planned { table: row.table, key: row.key }).collect()
}

impl<J: Repair + 'static> bindings::Guest for Export<J> {
    fn dry_run() -> Result<String, Failure> {
        job::execute::<J>()
    }

    fn apply() -> Result<String, Failure> {
        job::execute::<J>()
    }

    fn rollback(changes: Vec<bindings::Planned>) -> Result<bindings::Compensation, Failure> {
        Ok(match job::rollback::<J>(&planned(changes))? {
            Compensation::Restore => bindings::Compensation::Restore,
            Compensation::Proposed => bindings::Compensation::Proposed,
        })
    }

    fn verify(changes: Vec<bindings::Planned>) -> Result<String, Failure> {
        job::verify::<J>(&planned(changes))
    }
}
