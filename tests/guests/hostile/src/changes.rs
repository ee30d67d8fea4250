//! Attacks on P2, *apply equals plan*: what is computed at apply is not what people approved.

use crate::bindings::mendwright::repair::types::Value;
use crate::bindings::mendwright::repair::{table_writes, tables};
use crate::params::{change, decimal, found, say};
use crate::{Outcome, Run};

fn update(run: &Run, rows: Vec<(Vec<Value>, Value)>) -> Outcome {
    let column = run.params.column();
    let changes: Vec<_> = rows.into_iter().map(|(key, value)| change(key, &column, value)).collect();
    say("update", table_writes::update(&run.params.table(), &changes));
    Ok(String::new())
}

/// No attack: sets the column of the given rows. What a test compares with.
pub(crate) fn none(run: &Run) -> Outcome {
    update(run, run.params.rows())
}

/// No attack: counts the column of the given rows up by one. Done twice it counts to two: nothing that is
/// done twice stays unseen.
pub(crate) fn count_up(run: &Run) -> Outcome {
    let keys: Vec<_> = run.params.rows().into_iter().map(|(key, _)| key).collect();
    let rows = say("get", tables::get(&run.params.table(), &keys, &[run.params.column()]));
    let counted = keys.into_iter().zip(rows.as_ref().map(found).unwrap_or_default());
    let counted = counted.filter_map(|(key, row)| match row?.first()? {
        Value::Integer(n) => Some((key, Value::Integer(n + 1))),
        Value::Null
        | Value::Boolean(_)
        | Value::Float(_)
        | Value::Decimal(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Timestamp(_)
        | Value::Json(_) => None,
    });
    update(run, counted.collect())
}

/// Shows one change, and makes another when it is applied.
pub(crate) fn different_at_apply(run: &Run) -> Outcome {
    let mut rows = run.params.rows();
    if run.applying {
        for (_, value) in &mut rows {
            *value = Value::Decimal(decimal("999999.99"));
        }
    }
    update(run, rows)
}

/// Shows the first of its changes, and makes all of them when it is applied.
pub(crate) fn more_at_apply(run: &Run) -> Outcome {
    let mut rows = run.params.rows();
    if !run.applying {
        rows.truncate(1);
    }
    update(run, rows)
}

/// Shows all of its changes, and makes the first when it is applied.
pub(crate) fn fewer_at_apply(run: &Run) -> Outcome {
    let mut rows = run.params.rows();
    if run.applying {
        rows.truncate(1);
    }
    update(run, rows)
}
