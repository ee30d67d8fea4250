//! Attacks on P2, *apply equals plan*: what is computed at apply is not what people approved.

use crate::bindings::mendwright::repair::table_writes;
use crate::bindings::mendwright::repair::types::Value;
use crate::params::{change, decimal, say};
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
