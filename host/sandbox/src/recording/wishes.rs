//! What a job asked for, row by row: its changes, without a database to say what was there before.

use std::collections::BTreeMap;

use mendwright_core::change::{Action, Key};
use mendwright_core::port::{RowChange, RowRemoval};
use mendwright_core::value::Value;
use serde::{Deserialize, Serialize};

/// What a job wants of one row. Values are tagged, as plans bind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The table, by the job's name.
    pub table: String,
    /// The key columns' values.
    pub key: Vec<String>,
    /// What shall happen to the row.
    pub action: Action,
    /// Columns and what they shall be.
    pub cells: BTreeMap<String, String>,
    /// Why.
    pub reason: String,
}

/// Wishes as they come in; a later one for the same row is laid over the earlier.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes(BTreeMap<(String, Vec<Value>), Wish>);

impl Wishes {
    pub(super) fn change(&mut self, action: Action, table: &str, rows: &[RowChange]) {
        for row in rows {
            let wish = self.of(action, table, &row.key, &row.reason);
            wish.cells.extend(row.cells.iter().map(|(column, value)| (column.clone(), value.tagged())));
        }
    }

    pub(super) fn remove(&mut self, table: &str, rows: &[RowRemoval]) {
        for row in rows {
            let place = (table.to_owned(), row.key.0.clone());
            // A row that the run itself inserts was never there.
            if self.0.get(&place).is_some_and(|wish| wish.action == Action::Insert) {
                self.0.remove(&place);
                continue;
            }
            let wish = self.of(Action::Delete, table, &row.key, &row.reason);
            wish.action = Action::Delete;
            wish.cells.clear();
        }
    }

    fn of(&mut self, action: Action, table: &str, key: &Key, reason: &str) -> &mut Wish {
        let place = (table.to_owned(), key.0.clone());
        let wish = self.0.entry(place).or_insert_with(|| Wish {
            table: table.to_owned(),
            key: key.0.iter().map(Value::tagged).collect(),
            action,
            cells: BTreeMap::new(),
            reason: String::new(),
        });
        if !reason.is_empty() {
            reason.clone_into(&mut wish.reason);
        }
        wish
    }

    /// The wishes, by table and key.
    pub(super) fn into_list(self) -> Vec<Wish> {
        self.0.into_values().collect()
    }
}
