//! Open scans of in-memory tables.

use std::cmp::Ordering;

use super::page::PageBuilder;
use super::table::{Key, Table, order};
use crate::contract::{Comparison, Page, Value};

/// Rows in one page; the contract's limit.
const PAGE_ROWS: usize = 1_000;

/// A condition, its column as a place.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) place: usize,
    pub(super) op: Comparison,
    pub(super) values: Vec<Value>,
}

impl Condition {
    fn holds(&self, row: &[Value]) -> bool {
        let Some(value) = row.get(self.place) else { return false };
        let ordered = |wanted: fn(Ordering) -> bool| {
            // As in SQL, NULL is neither less nor greater.
            !value.is_null() && self.values.first().is_some_and(|other| wanted(value.order(other)))
        };
        match self.op {
            Comparison::Eq | Comparison::IsIn => self.values.iter().any(|other| value.same(other)),
            Comparison::Lt => ordered(Ordering::is_lt),
            Comparison::Le => ordered(Ordering::is_le),
            Comparison::Gt => ordered(Ordering::is_gt),
            Comparison::Ge => ordered(Ordering::is_ge),
            Comparison::IsNull => value.is_null(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Cursor {
    pub(super) table: String,
    columns: Vec<usize>,
    conditions: Vec<Condition>,
    by: Vec<usize>,
    /// Numbers of the rows as they were before the run, in the scan's order.
    sorted: Vec<usize>,
    next: usize,
    /// Where the last page ended: the whole row and its key.
    last: Option<(Vec<Value>, Key)>,
}

impl Cursor {
    pub(super) fn new(table: &Table, columns: Vec<usize>, conditions: Vec<Condition>, by: Vec<usize>) -> Self {
        let matches = |(number, (_, row)): (usize, (&Key, &Vec<Value>))| {
            conditions.iter().all(|condition| condition.holds(row)).then_some(number)
        };
        let mut sorted: Vec<usize> = table.rows().enumerate().filter_map(matches).collect();
        if !by.is_empty() {
            sorted.sort_by(|a, b| match (table.row_at(*a), table.row_at(*b)) {
                (Some((a_key, a)), Some((b_key, b))) => order((a, a_key), (b, b_key), &by),
                (_, _) => Ordering::Equal,
            });
        }
        Self { table: table.name.clone(), columns, conditions, by, sorted, next: 0, last: None }
    }

    /// The next rows, merged with what the run changed before this call.
    pub(super) fn next_page(&mut self, table: &Table) -> Page {
        let mut changed = self.changed(table);
        changed.reverse();
        let mut page = PageBuilder::new(self.columns.len(), self.sorted.len().saturating_sub(self.next).min(PAGE_ROWS));
        let (mut last, mut last_untouched) = (None, None);
        while page.len() < PAGE_ROWS {
            let number = self.sorted.get(self.next).copied();
            let untouched = number.and_then(|number| table.row_at(number));
            if untouched.is_some_and(|(key, _)| table.overlay.contains_key(key)) {
                self.next += 1;
                continue;
            }
            let take_changed = match (untouched, changed.last()) {
                (None, None) => break,
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some((key, row)), Some((other, other_key))) => order((other, other_key), (row, key), &self.by).is_lt(),
            };
            if take_changed {
                last = changed.pop();
                if let Some((row, _)) = &last {
                    page.push(self.columns.iter().filter_map(|place| row.get(*place)));
                }
                last_untouched = None;
            } else {
                self.next += 1;
                if let Some((_, row)) = untouched {
                    page.push(self.columns.iter().filter_map(|place| row.get(*place)));
                }
                last_untouched = untouched;
            }
        }
        if let Some(last) = last_untouched.map(|(key, row)| (row.clone(), key.clone())).or(last) {
            self.last = Some(last);
        }
        page.finish()
    }

    /// Changed rows that are still to come, in the scan's order.
    fn changed(&self, table: &Table) -> Vec<(Vec<Value>, Key)> {
        let comes = |row: &[Value], key: &Key| {
            self.last.as_ref().is_none_or(|(last, last_key)| order((row, key), (last, last_key), &self.by).is_gt())
        };
        let mut rows: Vec<(Vec<Value>, Key)> = Vec::new();
        for (key, changed) in &table.overlay {
            let Some(row) = &changed.values else { continue };
            if self.conditions.iter().all(|condition| condition.holds(row)) && comes(row, key) {
                rows.push((row.clone(), key.clone()));
            }
        }
        rows.sort_by(|(a, a_key), (b, b_key)| order((a, a_key), (b, b_key), &self.by));
        rows
    }
}
