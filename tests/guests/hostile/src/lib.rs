//! A hostile component. The run's parameters `{"attack": "name", …}` say which promise it attacks;
//! what it learns it writes to the log, so that a test can see whether it learned anything.
//!
//! One module for each family of attacks; [`attack`] lists all of them.

mod ambient;
mod bindings;
mod changes;
mod compensation;
mod floods;
mod mixed;
mod names;
mod params;
mod resources;
mod stubborn;
mod tenants;
mod values;

use bindings::mendwright::repair::types::Failure;
use bindings::{Compensation, Guest, Planned};
use params::Params;

/// What each attack gets.
struct Run {
    /// Whether `apply` was called; a component can tell, whatever the contract keeps from it.
    applying: bool,
    /// The run's parameters.
    params: Params,
}

type Outcome = Result<String, Failure>;
type Attack = fn(&Run) -> Outcome;

/// Every attack by its name.
fn attack(name: &str) -> Option<Attack> {
    Some(match name {
        "none" => changes::none,
        "count-up" => changes::count_up,
        "different-at-apply" => changes::different_at_apply,
        "more-at-apply" => changes::more_at_apply,
        "fewer-at-apply" => changes::fewer_at_apply,
        "mixed" => mixed::mixed,
        "gossip" => mixed::gossip,
        "whisper" => mixed::whisper,
        "get-foreign" => tenants::get_foreign,
        "scan-foreign" => tenants::scan_foreign,
        "update-foreign" => tenants::update_foreign,
        "delete-foreign" => tenants::delete_foreign,
        "insert-probe" => tenants::insert_probe,
        "write-column" => tenants::write_column,
        "foreign-key-probe" => tenants::foreign_key_probe,
        "names" => names::names,
        "undeclared-table" => names::undeclared_table,
        "undeclared-column" => names::undeclared_column,
        "undeclared-operation" => names::undeclared_operation,
        "loop" => resources::endless_loop,
        "recursion" => resources::endless_recursion,
        "deep-frames" => resources::deep_frames,
        "memory-bomb" => resources::memory_bomb,
        "host-call-loop" => resources::host_call_loop,
        "log-flood" => floods::log_flood,
        "stdout-flood" => floods::stdout_flood,
        "finding-flood" => floods::finding_flood,
        "check-flood" => floods::check_flood,
        "progress-flood" => floods::progress_flood,
        "cursors" => floods::cursors,
        "empty-scans" => floods::empty_scans,
        "cursor-order" => floods::cursor_order,
        "clock" => ambient::clock,
        "random" => ambient::random,
        "sleep" => ambient::sleep,
        "exit" => ambient::exit,
        "look-around" => ambient::look_around,
        "handles" => ambient::handles,
        "shrug" => stubborn::shrug,
        "panic" => stubborn::panic,
        "failure" => stubborn::failure,
        "unknown-finding" => stubborn::unknown_finding,
        "giant-log" => values::giant_log,
        "giant-reason" => values::giant_reason,
        "giant-cell" => values::giant_cell,
        "giant-summary" => values::giant_summary,
        "giant-batch" => values::giant_batch,
        "giant-lists" => values::giant_lists,
        "deep-json" => values::deep_json,
        "floats" => values::floats,
        "decimals" => values::decimals,
        "decimal-forms" => values::decimal_forms,
        _ => return None,
    })
}

/// The component.
struct Hostile;

impl Hostile {
    fn run(applying: bool) -> Outcome {
        Self::attack(applying, Params::read())
    }

    fn attack(applying: bool, params: Params) -> Outcome {
        let name = params.text("attack", "none");
        match attack(&name) {
            Some(attack) => attack(&Run { applying, params }),
            None => Err(Failure { code: "ATTACK_UNKNOWN".to_owned(), message: format!("no attack `{name}`") }),
        }
    }
}

impl Guest for Hostile {
    fn dry_run() -> Outcome {
        Self::run(false)
    }

    fn apply() -> Outcome {
        Self::run(true)
    }

    fn rollback(changes: Vec<Planned>) -> Result<Compensation, Failure> {
        compensation::answer(&changes)
    }

    fn verify(changes: Vec<Planned>) -> Outcome {
        Ok(format!("{} rows looked at", changes.len()))
    }
}
