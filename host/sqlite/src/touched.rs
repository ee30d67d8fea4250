//! Rows that changed, as SQLite tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Table → the rows of it that changed, by number; as SQLite tells it.
#[derive(Clone, Debug, Default)]
pub struct Touched(Arc<Mutex<BTreeMap<String, BTreeSet<i64>>>>);

impl Touched {
    /// How many rows of a table changed.
    #[must_use]
    pub fn rows(&self, table: &str) -> u64 {
        let touched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = touched.iter().filter(|(name, _)| name.eq_ignore_ascii_case(table));
        own.map(|(_, rows)| u64::try_from(rows.len()).unwrap_or(u64::MAX)).sum()
    }

    pub(crate) fn note(&self, table: &str, row: i64) {
        let mut touched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match touched.get_mut(table) {
            Some(rows) => drop(rows.insert(row)),
            None => drop(touched.insert(table.to_owned(), [row].into())),
        }
    }
}
