//! The parameters against what the table is: first as a whole, then row by row.

use std::collections::BTreeSet;

use mendwright_sdk::Table;
use mendwright_sdk::prelude::*;
use mendwright_sdk::value::Ordered;

use crate::{Cells, Params, RowPatch};

/// What a person wants of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Update,
    Insert,
    Delete,
}

/// One row's patch, its texts read as values of their columns.
#[derive(Clone, Debug)]
pub(crate) struct Patch {
    intent: Intent,
    pub(crate) key: Vec<Value>,
    set: Vec<(String, Value)>,
    expect: Vec<(String, Value)>,
    pub(crate) because: String,
}

/// What follows for one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wanted {
    /// It is as it shall be.
    Nothing,
    /// This is to be done.
    Edit(Edit),
    /// It stays as it is: the finding's code and message.
    Finding(&'static str, String),
}

/// What is to be done with one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// It shall have these values.
    Update(Vec<(String, Value)>),
    /// It shall be there.
    Insert(Vec<(String, Value)>),
    /// It shall not be there.
    Delete,
}

/// Reads all patches. One mistake refuses all of them.
pub(crate) fn read(table: &Table, params: Params) -> Result<Vec<Patch>> {
    let Params { table: _, changes, insert, delete, because } = params;
    let mut patches = Vec::with_capacity(changes.len() + insert.len() + delete.len());
    let mut seen = BTreeSet::new();
    let lists = [(Intent::Update, changes), (Intent::Insert, insert), (Intent::Delete, delete)];
    for (intent, row) in lists.into_iter().flat_map(|(intent, rows)| rows.into_iter().map(move |row| (intent, row))) {
        let mut patch = one(table, intent, row)?;
        if patch.because.is_empty() {
            patch.because.clone_from(&because);
        }
        if !seen.insert(patch.key.iter().cloned().map(Ordered).collect::<Vec<_>>()) {
            fail!("ROW_TWICE", "row {} of `{}` is named twice", shown(&patch.key), table.name());
        }
        patches.push(patch);
    }
    Ok(patches)
}

fn one(table: &Table, intent: Intent, row: RowPatch) -> Result<Patch> {
    let RowPatch { key: mut named, set, expect, because } = row;
    let mut key = Vec::new();
    for column in table.key() {
        match named.remove(&column.name) {
            Some(Some(text)) => key.push(column.parse(Some(&text))?),
            Some(None) => fail!("KEY_INCOMPLETE", "key column `{}` cannot be NULL", column.name),
            None => fail!("KEY_INCOMPLETE", "a row of `{}` needs key column `{}`", table.name(), column.name),
        }
    }
    if let Some(other) = named.keys().next() {
        let key: Vec<_> = table.key().map(|column| column.name.as_str()).collect();
        fail!("KEY_INCOMPLETE", "`{other}` is no key column of `{}`; its key is {}", table.name(), key.join(", "));
    }
    // A new row may set what a row that is there may not change: the parent that it hangs under.
    let (set, expect) = (cells(table, set, intent != Intent::Insert)?, cells(table, expect, false)?);
    match intent {
        Intent::Update if set.is_empty() => {
            fail!("NOTHING_TO_SET", "row {} of `{}` is given no value", shown(&key), table.name())
        }
        Intent::Delete if !set.is_empty() => {
            fail!("NOTHING_TO_SET", "row {} of `{}` is to go and is given values", shown(&key), table.name())
        }
        Intent::Update | Intent::Insert | Intent::Delete => {}
    }
    Ok(Patch { intent, key, set, expect, because })
}

fn cells(table: &Table, cells: Cells, written: bool) -> Result<Vec<(String, Value)>> {
    let mut values = Vec::with_capacity(cells.len());
    for (name, text) in cells {
        let Some(column) = table.column(&name) else {
            let known: Vec<_> = table.columns().iter().map(|column| column.name.as_str()).collect();
            fail!(
                "COLUMN_UNKNOWN",
                "`{}` has no column `{name}` for this job; it has {}",
                table.name(),
                known.join(", ")
            )
        };
        if written && !column.writable {
            fail!("COLUMN_NOT_WRITABLE", "`{}.{name}` cannot be written: it is fixed, or not granted", table.name());
        }
        values.push((name, column.parse(text.as_deref())?));
    }
    Ok(values)
}

fn shown(key: &[Value]) -> String {
    key.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
}

impl Patch {
    /// Whether the row's value in this column matters.
    pub(crate) fn reads(&self, column: &str) -> bool {
        self.set.iter().chain(&self.expect).any(|(name, _)| name == column)
    }

    /// What follows for the row as it is; none where it is not there.
    pub(crate) fn against(&self, row: Option<&DynRow>) -> Wanted {
        match (self.intent, row) {
            (Intent::Update | Intent::Delete, None) => {
                Wanted::Finding("row_not_found", format!("there is no row {}", shown(&self.key)))
            }
            (Intent::Insert, None) => Wanted::Edit(Edit::Insert(self.set.clone())),
            (Intent::Insert, Some(row)) => match differing(row, &self.set).next() {
                None => Wanted::Nothing,
                Some((column, is, wanted)) => {
                    Wanted::Finding("row_exists", format!("it is there, and `{column}` is {is} instead of {wanted}"))
                }
            },
            (Intent::Update, Some(row)) => {
                let cells: Vec<_> =
                    differing(row, &self.set).map(|(name, _, new)| (name.to_owned(), new.clone())).collect();
                // First: a patch that was applied finds its own values, not those it expected.
                if cells.is_empty() { Wanted::Nothing } else { self.unless_unexpected(row, Edit::Update(cells)) }
            }
            (Intent::Delete, Some(row)) => self.unless_unexpected(row, Edit::Delete),
        }
    }

    fn unless_unexpected(&self, row: &DynRow, edit: Edit) -> Wanted {
        match differing(row, &self.expect).next() {
            None => Wanted::Edit(edit),
            Some((column, is, expected)) => Wanted::Finding(
                "unexpected_value",
                format!("`{column}` is {is}, not {expected}; the row stays as it is"),
            ),
        }
    }
}

/// Columns that do not hold what they should: name, what is there, what should be.
fn differing<'a>(
    row: &'a DynRow,
    cells: &'a [(String, Value)],
) -> impl Iterator<Item = (&'a str, ValueRef<'a>, &'a Value)> {
    cells.iter().filter_map(|(name, wanted)| {
        let is = row.value(name.as_str()).unwrap_or(ValueRef::Null);
        (!is.same(wanted.as_ref())).then_some((name.as_str(), is, wanted))
    })
}
