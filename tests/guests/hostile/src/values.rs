//! Attacks with what is carried across: texts and lists of any size (P13), numbers that are none or
//! that do not come back as they went (P2).

use crate::bindings::mendwright::repair::run::{self, Level};
use crate::bindings::mendwright::repair::table_writes::{self, Change};
use crate::bindings::mendwright::repair::tables::{self, Comparison, Filter, Query};
use crate::bindings::mendwright::repair::types::{Decimal, Scaled, Value};
use crate::params::{change, say};
use crate::{Outcome, Run};

/// A text of `n` bytes: 20 MiB unless told.
fn giant(run: &Run) -> String {
    "x".repeat(usize::try_from(run.params.number("n", 20 * 1024 * 1024)).unwrap_or(0))
}

/// Logs one line of 20 MiB.
pub(crate) fn giant_log(run: &Run) -> Outcome {
    say("log", run::log(Level::Info, &giant(run)));
    Ok(String::new())
}

/// Gives a reason of 20 MiB for a small change.
pub(crate) fn giant_reason(run: &Run) -> Outcome {
    let mut change = change(run.params.key(), &run.params.column(), run.params.value());
    change.reason = giant(run);
    say("update", table_writes::update(&run.params.table(), &[change]));
    Ok(String::new())
}

/// Writes 20 MiB into one cell.
pub(crate) fn giant_cell(run: &Run) -> Outcome {
    let change = change(run.params.key(), &run.params.column(), Value::Text(giant(run)));
    say("update", table_writes::update(&run.params.table(), &[change]));
    Ok(String::new())
}

/// Returns a summary of 20 MiB.
pub(crate) fn giant_summary(run: &Run) -> Outcome {
    Ok(giant(run))
}

/// Changes a hundred thousand rows in one call.
pub(crate) fn giant_batch(run: &Run) -> Outcome {
    let column = run.params.column();
    let n = i64::try_from(run.params.number("n", 100_000)).unwrap_or(0);
    let changes: Vec<Change> =
        (1..=n).map(|id| change(vec![Value::Integer(id)], &column, run.params.value())).collect();
    say("update", table_writes::update(&run.params.table(), &changes));
    Ok(String::new())
}

/// Asks for more keys and filters by more values than the contract allows in one call.
pub(crate) fn giant_lists(run: &Run) -> Outcome {
    let (table, column) = (run.params.table(), run.params.column());
    let keys: Vec<Vec<Value>> = (0..1_001).map(|id| vec![Value::Integer(id)]).collect();
    say("get", tables::get(&table, &keys, std::slice::from_ref(&column)));
    let values = (0..1_001).map(Value::Integer).collect();
    let filters = vec![Filter { column: "id".to_owned(), op: Comparison::IsIn, values }];
    say("scan", tables::scan(&Query { table, columns: vec![column], filters, order_by: Vec::new() }));
    Ok(String::new())
}

/// Writes a JSON document nested a hundred thousand deep: whoever parses it by recursion dies.
pub(crate) fn deep_json(run: &Run) -> Outcome {
    let depth = usize::try_from(run.params.number("n", 100_000)).unwrap_or(0);
    let value = Value::Json("[".repeat(depth) + &"]".repeat(depth));
    let change = change(run.params.key(), &run.params.column(), value);
    say("update", table_writes::update(&run.params.table(), &[change]));
    Ok(String::new())
}

/// Writes floats that are no numbers, or not the number they seem.
pub(crate) fn floats(run: &Run) -> Outcome {
    for float in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE] {
        let change = change(run.params.key(), &run.params.column(), Value::Float(float));
        say(&format!("update {float}"), table_writes::update(&run.params.table(), &[change]));
    }
    Ok(String::new())
}

/// Writes decimals that are none, or that would grow when the host prints them.
pub(crate) fn decimals(run: &Run) -> Outcome {
    let long = "9".repeat(2_000);
    for text in ["NaN", "Infinity", "1e999999999", "1E5", "+1", "", ".", "1,5", "0x10", "1.2.3", "--1", " 1", &long] {
        write_decimal(run, Decimal::Digits(text.to_owned()));
    }
    Ok(String::new())
}

/// Writes decimals in forms that their numbers do not have: two of them would be equal numbers and
/// different values.
pub(crate) fn decimal_forms(run: &Run) -> Outcome {
    let scaled = [(990, 2), (0, 1), (100, 1), (1, 19), (1, 255), (0, 255), (i64::MIN, 19), (i64::MAX, 18 + 1)];
    for (coefficient, scale) in scaled {
        write_decimal(run, Decimal::Scaled(Scaled { coefficient, scale }));
    }
    let digits = ["9.90", "9.9", "-0", "0", "00", "1000", "-9223372036854775808", "0.000000000000000001"];
    let large = ["09223372036854775808", "9223372036854775808.0", "-00.00000000000000000001", ".00000000000000000001"];
    for text in digits.into_iter().chain(large) {
        write_decimal(run, Decimal::Digits(text.to_owned()));
    }
    Ok(String::new())
}

fn write_decimal(run: &Run, decimal: Decimal) {
    let shown: String = format!("{decimal:?}").chars().take(60).collect();
    let change = change(run.params.key(), &run.params.column(), Value::Decimal(decimal));
    say(&format!("update {shown}"), table_writes::update(&run.params.table(), &[change]));
}
