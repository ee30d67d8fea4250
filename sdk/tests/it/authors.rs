//! What the SDK does for an author: rows, joins, changes, parameters, errors.

use mendwright_sdk::job::{NoParams, Params, Repair};
use mendwright_sdk::join::Family;
use mendwright_sdk::manifest::{Manifest, Request};
use mendwright_sdk::prelude::*;
use mendwright_sdk::row::Keyed;
use mendwright_sdk::testing::{Outcome, Tables, tables};
use mendwright_sdk::{Severity, Value, info};

const MANIFEST: Manifest = Manifest {
    name: "probe",
    version: "0.1.0",
    findings: &[("odd", Severity::Warning)],
    requests: &[Request {
        table: "*",
        optional: false,
        read: &["*"],
        write: &["*"],
        operations: &["insert", "update", "delete"],
    }],
};

/// A job for one test.
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

#[derive(Row, Debug, PartialEq)]
#[row(table = "orders")]
struct Order {
    #[row(key)]
    shop: String,
    #[row(key)]
    number: i64,
    #[row(write)]
    note: Option<String>,
    #[row(write, column = "paid_on")]
    paid: Option<Timestamp>,
}

#[derive(Row, Debug)]
#[row(table = "items")]
struct Item {
    shop: String,
    number: Option<i64>,
    sku: String,
}

fn shop() -> Tables {
    tables()
        .with("orders", "shop* | number* | note | paid_on\n b | 10 | ∅ | 2026-11-20\n b | 9 | x | ∅\n a | 10 | ∅ | ∅")
        .with("items", "shop | number | sku\n b | 9 | p\n a | ∅ | lost\n b | 10 | q\n b | 9 | r\n c | 1 | far")
}

#[test]
fn a_composite_key_joins_and_rows_without_a_parent_are_delivered_when_asked_for() {
    job!(Probe, |run| {
        for family in run.scan::<Order>().with((Item::SHOP, Item::NUMBER)).or_orphans() {
            match family? {
                Family::Parent(order, items) => {
                    let skus: Vec<_> = items.iter().map(|item| item.sku.as_str()).collect();
                    info!(run, "{}/{}: {}", order.shop, order.number, skus.join(" "))?;
                }
                Family::Orphan(item) => info!(run, "orphan {}", item.sku)?,
            }
        }
        Ok(())
    });
    let outcome = shop().run::<Probe>("{}");
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.log, ["info orphan lost", "info a/10: ", "info b/9: p r", "info b/10: q", "info orphan far"]);
}

#[test]
fn changes_of_every_sort_show_as_the_net_change_of_each_row() {
    job!(Probe, |run| {
        for order in run.scan::<Order>() {
            let order = order?;
            match order.number {
                9 => run.delete(order.removal().because("old"))?,
                _ => run.update(order.set_note("seen".to_owned()).set(Order::PAID, Timestamp::new("2026-11-21")))?,
            }
        }
        let new = Order { shop: "c".into(), number: 1, note: None, paid: Some(run.now()) };
        run.insert(new.insertion().because("was missing"))?;
        let back = run.get::<Order>(new.key())?;
        run.check("an inserted row is seen", back.as_ref() == Some(&new), "the row", format!("{back:?}"))?;
        let missing = run.get_many::<Order>([("b".to_owned(), 9), ("b".to_owned(), 10)])?;
        run.check("a removed row is not", missing[0].is_none() && missing[1].is_some(), true, false)?;
        run.update(run.change::<Order>(("a".to_owned(), 10)).set(Order::NOTE, None).set(Order::PAID, None))
    });
    let outcome = shop().run::<Probe>("{}");
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.updates, ["orders b/10 note=seen paid_on=2026-11-21"], "a/10 is as it was");
    assert_eq!(outcome.inserts, ["orders c/1 note=NULL paid_on=2026-11-20 03:12:09"]);
    assert_eq!(outcome.deletes, ["orders b/9"]);
    assert_eq!(outcome.reasons, ["orders b/9: old", "orders c/1: was missing"]);
    assert_eq!(outcome.checks, ["ok an inserted row is seen", "ok a removed row is not"]);
}

#[test]
fn filters_and_orders_choose_rows() {
    job!(Probe, |run| {
        let numbers = |scan: mendwright_sdk::Scan<'_, Order>| -> Result<String> {
            let rows: Vec<_> = scan.collect::<Result<_>>()?;
            Ok(rows.iter().map(|o| format!("{}{} ", o.shop, o.number)).collect())
        };
        info!(run, "{}", numbers(run.scan::<Order>().where_eq(Order::NOTE, None))?)?;
        info!(run, "{}", numbers(run.scan::<Order>().is_null(Order::PAID).order_by(Order::NOTE))?)?;
        info!(run, "{}", numbers(run.scan::<Order>().where_ge(Order::NUMBER, 10).where_lt(Order::SHOP, "b"))?)?;
        info!(run, "{}", numbers(run.scan::<Order>().is_in(Order::NUMBER, [9, 11]))?)?;
        run.finding("odd", &run.get::<Order>(("b".into(), 9))?.ok_or(Error::failure("GONE", "gone"))?, "odd")
    });
    let outcome = shop().run::<Probe>("{}");
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.log, ["info a10 b10 ", "info a10 b9 ", "info a10 ", "info b9 "]);
    assert_eq!(outcome.findings, ["odd orders b/9"]);
    assert_eq!(outcome.reported[0].severity, Severity::Warning, "from the manifest");
}

#[test]
fn rows_without_a_struct_have_typed_values_and_say_what_is_wrong() {
    job!(Probe, |run| {
        for row in run.scan_table("orders", &["note"])? {
            let row = row?;
            let note: Option<String> = row.get("note")?;
            run.update(row.change().set("note", note.map(|n| n + "!")).because("louder"))?;
        }
        run.scan_table("orders", &["note"])?
            .eq("note", Value::Null)
            .try_for_each(|row| row?.get::<i64>("note").map(drop))
    });
    let outcome = shop().run::<Probe>("{}");
    let failure = outcome.failure.unwrap();
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("VALUE_NULL", "`orders.note` is NULL; read it as an Option")
    );
    assert!(outcome.changes.is_empty(), "a failed run has no plan");
}

#[test]
fn a_value_that_does_not_fit_its_field_is_an_error_and_not_a_panic() {
    #[derive(Row)]
    #[row(table = "orders")]
    struct Amount {
        total: Decimal,
    }
    job!(Probe, |run| run.scan::<Amount>().try_for_each(|row| row.map(drop)));
    let run =
        |cell: &str| -> Outcome { tables().with("orders", &format!("total:decimal\n {cell}")).run::<Probe>("{}") };
    assert_eq!(run("1234567890123456789012345678").failure, None);
    assert_eq!(run("12345678901234567890123456789012").failure.unwrap().code, "VALUE_TOO_MANY_DIGITS");
    assert_eq!(run("NULL").failure.unwrap().code, "VALUE_NULL");
}

#[test]
fn a_parent_with_too_many_children_is_a_clear_failure() {
    job!(Probe, |run| run.scan::<Order>().with((Item::SHOP, Item::NUMBER)).at_most(1).try_for_each(|f| f.map(drop)));
    assert_eq!(shop().run::<Probe>("{}").failure.unwrap().code, "TOO_MANY_CHILDREN");
}

#[test]
fn parameters_are_typed_and_what_does_not_fit_is_a_failure() {
    #[params]
    struct Limits {
        at_most: i64,
    }
    struct Probe;
    impl Repair for Probe {
        type Params = Limits;
        const MANIFEST: Manifest = MANIFEST;
        fn repair(run: &Run, params: Limits) -> Result {
            run.summary(format!("at most {}", params.at_most));
            Ok(())
        }
    }
    fn is_params<P: Params>() {}
    is_params::<Limits>();
    assert_eq!(shop().run::<Probe>(r#"{"at_most": 3}"#).summary, "at most 3");
    for wrong in ["{}", "[", r#"{"at_most": "3"}"#, r#"{"at_most": 3, "more": 1}"#] {
        assert_eq!(shop().run::<Probe>(wrong).failure.unwrap().code, "PARAMS_INVALID", "{wrong}");
    }
}

#[test]
fn random_and_time_are_the_same_in_each_execution() {
    job!(Probe, |run| {
        info!(run, "{} {} {} {}", run.random(), run.random(), run.now(), run.tenant())?;
        run.progress(1, 2);
        Ok(())
    });
    let start = shop().tenant("France").seed(7).at(&Timestamp::new("2000-02-29"));
    let (one, two) = (start.run::<Probe>("{}"), start.run::<Probe>("{}"));
    assert_eq!(one.log, two.log);
    assert!(one.log[0].ends_with("2000-02-29 00:00:00 France"), "{:?}", one.log);
    assert_eq!(one.progress, Some((1, 2)));
    assert_ne!(start.seed(8).run::<Probe>("{}").log, one.log);
}

#[test]
fn the_derive_knows_table_columns_and_key() {
    assert_eq!(Order::TABLE, "orders");
    let columns: Vec<_> = Order::COLUMNS.iter().map(|c| (c.name, c.kind.word(), c.nullable, c.key)).collect();
    assert_eq!(
        columns,
        [
            ("shop", "text", false, true),
            ("number", "integer", false, true),
            ("note", "text", true, false),
            ("paid_on", "timestamp", true, false)
        ]
    );
    assert_eq!(Order::PAID.name(), "paid_on");
}
