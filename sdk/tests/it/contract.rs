//! The in-memory tables keep the contract as the host does.

use mendwright_sdk::job::{NoParams, Repair};
use mendwright_sdk::manifest::{Manifest, Request};
use mendwright_sdk::prelude::*;
use mendwright_sdk::testing::{Tables, tables};
use mendwright_sdk::{Value, info};

const MANIFEST: Manifest = Manifest {
    name: "probe",
    version: "0.1.0",
    findings: &[("odd", mendwright_sdk::Severity::Info)],
    requests: &[
        Request { table: "t", optional: false, read: &["id", "n"], write: &["n"], operations: &["insert", "update"] },
        Request { table: "maybe", optional: true, read: &["id"], write: &[], operations: &[] },
    ],
};

macro_rules! job {
    ($name:ident, |$run:ident| $body:expr) => {
        struct $name;
        impl Repair for $name {
            type Params = NoParams;
            const MANIFEST: Manifest = MANIFEST;
            fn repair($run: &Run, _: NoParams) -> Result {
                $body
            }
        }
    };
}

fn small() -> Tables {
    tables().with("t", "id | n:integer | secret\n 2 | 20 | x\n 10 | ∅ | x\n 1 | 10 | x").with("other", "id\n 1")
}

#[derive(Row)]
#[row(table = "other")]
struct Other {
    #[row(key)]
    id: i64,
}

fn key(id: i64) -> Vec<Value> {
    vec![Value::Integer(id)]
}

#[test]
fn every_refusal_has_the_hosts_case_and_code() {
    job!(Probe, |run| {
        let mut codes = Vec::new();
        let mut note = |result: Result| codes.push(result.err().map_or("ok".to_owned(), |e| e.code().to_owned()));
        let now = |result: Result| result.and_then(|()| run.flush());
        note(run.get_many::<Other>([1]).map(drop));
        note(run.scan_table("t", &["secret"])?.next().unwrap().map(drop));
        note(
            run.scan_table("t", &["n"])?.filter("n", Comparison::Gt, vec![Value::Integer(1)]).next().unwrap().map(drop),
        );
        note(run.scan_table("t", &["n"])?.eq("n", "10").next().unwrap().map(drop));
        note(run.get_rows("t", &[vec![]], &["n"]).map(drop));
        note(now(run.update(Change::new("t", key(99)).set("n", 1))));
        note(now(run.update(Change::new("t", key(1)).set("id", 5))));
        note(now(run.update(Change::new("t", key(1)).set("secret", "y"))));
        note(now(run.update(Change::new("t", key(1)).set("n", "text"))));
        note(now(run.insert(Change::new("t", key(1)).set("n", 1))));
        note(now(run.delete(Removal::new("t", key(1)))));
        note(run.finding_table("unlisted", "t", "?"));
        note(run.finding_table("odd", "t", "fine"));
        info!(run, "{}", codes.join(" "))
    });
    let outcome = small().run::<Probe>("{}");
    assert_eq!(outcome.failure, None);
    let expected = "info ERR_TABLE_DENIED ERR_COLUMN_DENIED ERR_CALL_INVALID ERR_VALUE_KIND ERR_CALL_INVALID \
        ERR_ROW_UNKNOWN ERR_COLUMN_FIXED ERR_COLUMN_DENIED ERR_VALUE_KIND ERR_ROW_EXISTS ERR_OPERATION_DENIED \
        ERR_FINDING_UNKNOWN ok";
    assert_eq!(outcome.log, [expected]);
    assert!(outcome.changes.is_empty());
}

#[test]
fn an_optional_table_that_is_not_bound_is_none_and_a_bound_one_is_described() {
    job!(Probe, |run| {
        let bound = run.describe("maybe")?;
        info!(run, "{}", bound.map_or("none".to_owned(), |t| t.key().map(|c| c.name.clone()).collect()))?;
        let names = |t: &mendwright_sdk::Table| t.columns().iter().map(|c| format!("{} ", c.name)).collect::<String>();
        info!(run, "{}", names(&*run.described("t")?))
    });
    assert_eq!(small().run::<Probe>("{}").log, ["info none", "info id n "], "what is not requested does not exist");
    assert_eq!(small().with("maybe", "id\n1").run::<Probe>("{}").log[0], "info id");
}

#[test]
fn an_error_of_a_buffered_change_surfaces_at_the_latest_from_the_end() {
    job!(Probe, |run| run.update(Change::new("t", key(99)).set("n", 1)));
    let failure = small().run::<Probe>("{}").failure.unwrap();
    assert_eq!(failure.code, "ERR_ROW_UNKNOWN");
}

#[test]
fn a_row_changed_twice_is_two_calls_and_one_net_change() {
    job!(Probe, |run| {
        run.update(Change::new("t", key(1)).set("n", 11).because("first"))?;
        run.update(Change::new("t", key(2)).set("n", 21))?;
        run.update(Change::new("t", key(1)).set("n", 12))?;
        run.insert(Change::new("t", key(3)).set("n", 30))?;
        run.update(Change::new("t", key(2)).set("n", 20))
    });
    let outcome = small().run::<Probe>("{}");
    // `secret` cannot be named, so the insert is incomplete.
    assert_eq!(outcome.failure.unwrap().code, "ERR_INSERT_INCOMPLETE");
    let outcome = tables().with("t", "id | n:integer\n 2 | 20\n 1 | 10").run::<Probe>("{}");
    assert_eq!(outcome.updates, ["t 1 n=12"]);
    assert_eq!(outcome.inserts, ["t 3 n=30"]);
    assert_eq!(outcome.reasons, ["t 1: first"]);
}

#[test]
fn a_scan_of_many_pages_is_complete_ordered_and_sees_the_runs_own_changes() {
    job!(Probe, |run| {
        let mut seen = Vec::new();
        for row in run.scan_table("t", &["id"])? {
            let id: i64 = row?.get("id")?;
            seen.push(id);
            if id == 500 {
                run.insert(Change::new("t", key(-1)).set("n", 0).because("behind the scan"))?;
                run.insert(Change::new("t", key(2_600)).set("n", 0).because("ahead of it"))?;
            }
            run.update(Change::new("t", key(id)).set("n", id))?;
        }
        let sorted = seen.is_sorted() && seen.len() == 2_501;
        run.check("each row once, in order, and the new one ahead", sorted, 2_501, seen.len())
    });
    let rows: String = (0..2_500).rev().map(|id| format!("{id} | 7\n")).collect();
    let outcome = tables().with("t", &format!("id | n\n{rows}")).run::<Probe>("{}");
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.checks, ["ok each row once, in order, and the new one ahead"]);
    assert_eq!((outcome.updates.len(), outcome.inserts.len()), (2_499, 2), "row 7 has its value already");
}

#[test]
fn null_comes_first_and_the_key_breaks_ties() {
    job!(Probe, |run| {
        for row in run.scan_table("t", &["n"])?.order_by_name("n") {
            info!(run, "{:?}", row?.get::<Option<i64>>("n")?)?;
        }
        Ok(())
    });
    assert_eq!(small().run::<Probe>("{}").log, ["info None", "info Some(10)", "info Some(20)"]);
}

#[test]
fn more_than_sixteen_open_scans_are_refused_and_a_dropped_one_is_closed() {
    job!(Probe, |run| {
        for _ in 0..20 {
            run.scan_table("t", &["n"])?.next().transpose()?;
        }
        let mut open = Vec::new();
        for _ in 0..17 {
            let mut scan = run.scan_table("t", &["n"])?;
            scan.next().transpose()?;
            open.push(scan);
        }
        Ok(())
    });
    assert_eq!(small().run::<Probe>("{}").failure.unwrap().code, "ERR_BUDGET_CURSORS");
}
