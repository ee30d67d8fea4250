//! Makes named rows of one table have the values that a person gave.
//!
//! Most real repairs are ad hoc; this is the job for them. The command line turns a CSV file, or `--set`
//! and `--where` on keys, into its parameters.
//!
//! A row that already has its values is no change, so the same patch can be planned again. A row that is
//! not there, or does not hold what was expected, is a finding and stays as it is. What cannot be meant
//! (a column that does not exist, a value of another kind, one row twice) fails the whole run: a patch
//! with a mistake in it must not be applied in part.

mod patch;

use std::collections::BTreeMap;

use mendwright_sdk::prelude::*;
use patch::{Edit, Patch, Wanted};

/// Column → value as text, in the form in which plans print it (bytes as hex digits); `null` is NULL.
pub type Cells = BTreeMap<String, Option<String>>;

/// Rows read and compared at once.
const ROWS_AT_ONCE: usize = 500;

/// What to patch.
#[params]
#[derive(Clone, Debug)]
pub struct Params {
    /// The table, by the operator's name of the resource.
    pub table: String,
    /// Rows that shall have other values.
    #[serde(default)]
    pub changes: Vec<RowPatch>,
    /// Rows that shall be there.
    #[serde(default)]
    pub insert: Vec<RowPatch>,
    /// Rows that shall no longer be there; they set nothing.
    #[serde(default)]
    pub delete: Vec<RowPatch>,
    /// Why, for rows that do not say it themselves.
    #[serde(default)]
    pub because: String,
}

/// One row.
#[params]
#[derive(Clone, Debug)]
pub struct RowPatch {
    /// Every column of the key, with its value.
    pub key: Cells,
    /// The values that the row shall have.
    #[serde(default)]
    pub set: Cells,
    /// The values that it must have now, or it stays as it is.
    #[serde(default)]
    pub expect: Cells,
    /// Why.
    #[serde(default)]
    pub because: String,
}

/// Patches the rows.
///
/// # Errors
/// What the host says, and failures of its own: `TABLE_NOT_BOUND`, `COLUMN_UNKNOWN`,
/// `COLUMN_NOT_WRITABLE`, `VALUE_UNREADABLE`, `KEY_INCOMPLETE`, `ROW_TWICE`, `NOTHING_TO_SET`.
#[job]
pub fn patch_rows(run: &Run, params: Params) -> Result {
    let table = run.described(&params.table)?;
    let patches = patch::read(&table, params)?;
    let total = u64::try_from(patches.len()).unwrap_or(0);
    let (mut changed, mut left, mut done) = (0_u64, 0_u64, 0_u64);
    let columns: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
    let columns: Vec<&str> = columns.into_iter().filter(|name| patches.iter().any(|p| p.reads(name))).collect();
    for patches in patches.chunks(ROWS_AT_ONCE) {
        let keys: Vec<_> = patches.iter().map(|patch| patch.key.clone()).collect();
        for (patch, row) in patches.iter().zip(run.get_rows(table.name(), &keys, &columns)?) {
            match patch.against(row.as_ref()) {
                Wanted::Nothing => {}
                Wanted::Finding(code, message) => {
                    left += 1;
                    run.finding_at(code, table.name(), patch.key.clone(), message)?;
                }
                Wanted::Edit(edit) => {
                    changed += 1;
                    propose(run, table.name(), patch, edit)?;
                }
            }
            done += 1;
        }
        run.progress(done, total);
    }
    run.summary(sentence(total, changed, left));
    Ok(())
}

fn propose(run: &Run, table: &str, patch: &Patch, edit: Edit) -> Result {
    let with = |cells: Vec<(String, Value)>| {
        let change = Change::new(table, patch.key.clone()).because(patch.because.as_str());
        cells.into_iter().fold(change, |change, (column, value)| change.set(&column, value))
    };
    match edit {
        Edit::Update(cells) => run.update(with(cells)),
        Edit::Insert(cells) => run.insert(with(cells)),
        Edit::Delete => run.delete(Removal::new(table, patch.key.clone()).because(patch.because.as_str())),
    }
}

fn sentence(total: u64, changed: u64, left: u64) -> String {
    match (total, changed, left) {
        (1, 0, 0) => "1 row is as it shall be.".to_owned(),
        (total, 0, 0) => format!("{total} rows are as they shall be."),
        (total, changed, left) => {
            format!("{changed} of {total} rows change; {left} are left for a person.")
        }
    }
}
