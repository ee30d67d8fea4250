//! Attacks on the rule that a wall is a wall: ignoring a refusal, dying, failing.

use crate::bindings::mendwright::repair::run;
use crate::bindings::mendwright::repair::table_writes;
use crate::bindings::mendwright::repair::tables;
use crate::bindings::mendwright::repair::types::{Failure, Finding, Severity};
use crate::params::{change, say};
use crate::{Outcome, Run};

/// Asks for a table that it may not have, shrugs, changes a row that it may, and reports success.
pub(crate) fn shrug(run: &Run) -> Outcome {
    say("describe", tables::describe(&run.params.text("denied", "secrets")));
    let change = change(run.params.key(), &run.params.column(), run.params.value());
    say("update", table_writes::update(&run.params.table(), &[change]));
    Ok("all is well".to_owned())
}

/// Panics after it asked for a change: nothing of it may be left.
pub(crate) fn panic(run: &Run) -> Outcome {
    let change = change(run.params.key(), &run.params.column(), run.params.value());
    say("update", table_writes::update(&run.params.table(), &[change]));
    panic!("a hostile panic \u{1b}[2J\u{202e}that would clear the screen")
}

/// Fails after it asked for a change.
pub(crate) fn failure(run: &Run) -> Outcome {
    let change = change(run.params.key(), &run.params.column(), run.params.value());
    say("update", table_writes::update(&run.params.table(), &[change]));
    Err(Failure { code: "HOSTILE".to_owned(), message: "it does not want to".to_owned() })
}

/// Reports a finding that its manifest does not list, and plays down one that it does.
pub(crate) fn unknown_finding(run: &Run) -> Outcome {
    for code in ["NOT_LISTED".to_owned(), run.params.text("code", "flood")] {
        let finding = Finding {
            code,
            severity: Severity::Info,
            table: run.params.table(),
            key: Vec::new(),
            message: "nothing to see here".to_owned(),
        };
        say("report-finding", run::report_finding(&finding));
    }
    Ok(String::new())
}
