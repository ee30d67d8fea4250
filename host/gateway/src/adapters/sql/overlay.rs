//! The changes that a run asked for so far, by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::change::Key;
use mendwright_core::value::Value;

use super::raw::Raw;

/// A row as the snapshot has it: the overlay's columns of its table, in order, and the own columns of
/// its way to the tenant.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) cells: Vec<Raw>,
    pub(crate) path: Vec<Raw>,
}

impl Base {
    pub(crate) fn size(&self) -> usize {
        self.cells.iter().chain(&self.path).map(Raw::size).sum::<usize>() + size_of::<Self>()
    }
}

/// Columns of one row that the run writes: the value as the job gave it and as it will be stored.
pub(crate) type Written = BTreeMap<String, (Value, Raw)>;

/// What the run wants of one row.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Insert { cells: Written, reason: String },
    Update { base: Base, cells: Written, reason: String },
    Delete { base: Base, reason: String },
}

/// The changes of one resource.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) rows: BTreeMap<Key, (Vec<Raw>, Wanted)>,
    /// Overlay columns, sorted: the order of each base row's cells.
    pub(crate) columns: Arc<Vec<String>>,
    /// How many inserts there are, and which columns updates touched: a scan that neither sorts nor
    /// filters by these finds each changed row where the snapshot has it.
    pub(crate) inserts: usize,
    pub(crate) touched: std::collections::BTreeSet<String>,
}

/// The changes of a run, by resource.
#[derive(Default)]
pub(crate) struct Overlay {
    pub(crate) resources: BTreeMap<String, Rows>,
}

impl Overlay {
    /// What the run wants of this row.
    pub(crate) fn get(&self, resource: &str, key: &Key) -> Option<&Wanted> {
        self.resources.get(resource)?.rows.get(key).map(|(_, wanted)| wanted)
    }

    /// The changes of `resource`, made if need be.
    pub(crate) fn of(&mut self, resource: &str, columns: &Arc<Vec<String>>) -> &mut Rows {
        self.resources
            .entry(resource.to_owned())
            .or_insert_with(|| Rows { columns: Arc::clone(columns), ..Rows::default() })
    }
}

impl Rows {
    /// Puts down what the run wants of a row.
    pub(crate) fn put(&mut self, key: Key, raw: Vec<Raw>, wanted: Wanted) {
        match &wanted {
            Wanted::Insert { .. } => self.inserts += 1,
            Wanted::Update { cells, .. } => {
                for column in cells.keys() {
                    if !self.touched.contains(column) {
                        self.touched.insert(column.clone());
                    }
                }
            }
            Wanted::Delete { .. } => {}
        }
        self.rows.insert(key, (raw, wanted));
    }
}

impl Wanted {
    /// Bytes that the host keeps for it.
    pub(crate) fn size(&self) -> usize {
        let cells = |cells: &Written| -> usize {
            cells.iter().map(|(name, (value, raw))| name.len() + value.size() + raw.size() + 32).sum()
        };
        size_of::<Self>()
            + match self {
                Self::Insert { cells: c, reason } => cells(c) + reason.len(),
                Self::Update { base, cells: c, reason } => base.size() + cells(c) + reason.len(),
                Self::Delete { base, reason } => base.size() + reason.len(),
            }
    }

    /// Bytes of the values that it changes.
    pub(crate) fn changed_bytes(&self) -> usize {
        match self {
            Self::Insert { cells, .. } | Self::Update { cells, .. } => {
                cells.values().map(|(value, _)| value.size()).sum()
            }
            Self::Delete { base, .. } => base.cells.iter().map(Raw::size).sum(),
        }
    }
}
