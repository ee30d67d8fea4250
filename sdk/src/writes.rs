//! The buffer between a job's changes and the host.
//!
//! Changes go over in batches of up to [`ROWS_MAX`]: when the buffer is full, before every read (so
//! that a job sees its own changes), and when its function returns.
//!
//! A batch carries the function that sends it. Nothing else in the SDK names the host's write calls, so
//! the component of a job that never writes does not import them.

use std::collections::BTreeSet;

use crate::change::{Change, Removal};
use crate::contract::{HostResult, RowChange, RowRemoval};
use crate::host;
use crate::value::Ordered;

/// Rows in the buffer before it is sent. Half a host page: large enough that a call costs nothing,
/// small enough to be no memory.
const ROWS_MAX: usize = 500;

/// Bytes of values in the buffer before it is sent, for rows with large texts.
const BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a reason that the host takes; a longer one is cut.
const REASON_BYTES_MAX: usize = 1_000;

/// Hands rows of one table to the host.
type Send = fn(&str, Vec<RowChange>) -> HostResult<()>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Insert,
    Update,
    Delete,
}

struct Batch {
    table: String,
    operation: Operation,
    rows: Vec<RowChange>,
    keys: BTreeSet<Vec<Ordered>>,
    send: Send,
}

/// Changes that the host has not heard of yet.
#[derive(Default)]
pub(crate) struct Writes {
    batches: Vec<Batch>,
    rows: usize,
    bytes: usize,
}

impl Writes {
    pub(crate) fn insert(&mut self, change: Change) -> HostResult<()> {
        self.push(change, Operation::Insert, host::insert)
    }

    pub(crate) fn update(&mut self, change: Change) -> HostResult<()> {
        self.push(change, Operation::Update, host::update)
    }

    pub(crate) fn delete(&mut self, removal: Removal) -> HostResult<()> {
        let Removal { table, key, reason } = removal;
        self.push(Change::new(table, key).because(reason), Operation::Delete, |table, rows| {
            host::delete(table, rows.into_iter().map(|row| RowRemoval { key: row.key, reason: row.reason }).collect())
        })
    }

    fn push(&mut self, change: Change, operation: Operation, send: Send) -> HostResult<()> {
        let Change { table, key, cells, mut reason } = change;
        cut(&mut reason, REASON_BYTES_MAX);
        self.rows += 1;
        self.bytes += reason.len() + cells.iter().map(|cell| cell.value.size()).sum::<usize>();
        let ordered: Vec<Ordered> = key.iter().cloned().map(Ordered).collect();
        let row = RowChange { key, cells, reason };
        match self.batch_for(&table, operation, &ordered) {
            Some(batch) => {
                batch.keys.insert(ordered);
                batch.rows.push(row);
            }
            None => {
                let keys = BTreeSet::from([ordered]);
                self.batches.push(Batch { table, operation, rows: vec![row], keys, send });
            }
        }
        if self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// The batch that a change may join without overtaking another: the last one; and for an update
    /// also an earlier one as long as only updates came after it (a row may be inserted under a parent
    /// that was inserted before it). One call names a row once.
    fn batch_for(&mut self, table: &str, operation: Operation, key: &Vec<Ordered>) -> Option<&mut Batch> {
        let is_it = |batch: &Batch| batch.operation == operation && batch.table == table;
        let found = if operation == Operation::Update {
            let updates = self.batches.iter_mut().rev().take_while(|batch| batch.operation == Operation::Update);
            updates.into_iter().find(|batch| is_it(batch))
        } else {
            self.batches.last_mut().filter(|batch| is_it(batch))
        };
        found.filter(|batch| !batch.keys.contains(key))
    }

    /// Sends everything, in order. After an error nothing is left: the job is over.
    pub(crate) fn flush(&mut self) -> HostResult<()> {
        self.rows = 0;
        self.bytes = 0;
        for batch in std::mem::take(&mut self.batches) {
            (batch.send)(&batch.table, batch.rows)?;
        }
        Ok(())
    }
}

fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let dots = '…';
        let end = text.floor_char_boundary(bytes_max - dots.len_utf8());
        text.truncate(end);
        text.push(dots);
    }
}
