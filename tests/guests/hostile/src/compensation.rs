//! What the component says to its being undone. Changes proposed here are planned like any other, so every
//! attack works here too: `{"compensation": "proposed", "compensate": {"attack": "name", …}}`.

use crate::Hostile;
use crate::bindings::mendwright::repair::table_writes;
use crate::bindings::mendwright::repair::tables;
use crate::bindings::mendwright::repair::types::Failure;
use crate::bindings::{Compensation, Planned};
use crate::params::{Params, change, found, say, tell};

pub(crate) fn answer(changes: &[Planned]) -> Result<Compensation, Failure> {
    let params = Params::read();
    // What the host tells of a plan is something to learn, too.
    let told: Vec<String> = changes.iter().take(10).map(|row| format!("{} {:?}", row.table, row.key)).collect();
    tell(&format!("told of {} rows: {}", changes.len(), told.join(", ")));
    let how = params.text("compensation", "restore");
    let params = params.within("compensate");
    match how.as_str() {
        "proposed" => propose(params),
        "told" => each(changes, &params),
        "fickle" => fickle(params),
        // Changes that it then does not stand by.
        "pretend" => propose(params).map(|_| Compensation::Restore),
        _ => Ok(Compensation::Restore),
    }
}

fn propose(params: Params) -> Result<Compensation, Failure> {
    Hostile::attack(false, params).map(|_| Compensation::Proposed)
}

/// Sets the column of exactly the rows that it was told of.
fn each(changes: &[Planned], params: &Params) -> Result<Compensation, Failure> {
    for row in changes {
        let change = change(row.key.clone(), &params.column(), params.value());
        say("update", table_writes::update(&row.table, &[change]));
    }
    Ok(Compensation::Proposed)
}

/// Plan and apply are the same call, of the same component, with the same seed and time; only by what it
/// reads can it tell them apart. While a cell holds what it should this proposes one thing, and then
/// another, or nothing.
fn fickle(params: Params) -> Result<Compensation, Failure> {
    let cell = say("get", tables::get(&params.table(), &[params.key()], &["note".to_owned()]));
    let seen = cell.as_ref().map(found);
    let kept = format!("{seen:?}").contains(&params.text("while", ""));
    let next = if kept { "first" } else { "then" };
    if params.text(next, "") == "restore" {
        return Ok(Compensation::Restore);
    }
    propose(params.within(next))
}
