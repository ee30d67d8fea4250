//! The changes that a run asked for so far, by row.
//!
//! A plan may change a hundred thousand rows: what all rows of a table share (names, kinds) stands in
//! its table, and a row holds no more than values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mendwright_core::change::Key;

use super::raw::Raw;

/// A row as the snapshot has it: the overlay's columns of its table, in order, and the own columns of
/// its way to the tenant.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) cells: Box<[Raw]>,
    pub(crate) path: Box<[Raw]>,
}

impl Base {
    pub(crate) fn size(&self) -> usize {
        self.cells.iter().chain(&self.path).map(Raw::size).sum::<usize>() + size_of::<Self>()
    }
}

/// A column by its place among all bound columns of its table, by name.
pub(crate) type Place = u16;

/// Columns of one row that the run writes, as they will be stored, by their places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Vec<(Place, Raw)>);

impl Written {
    pub(crate) fn get(&self, place: Place) -> Option<&Raw> {
        let at = self.0.binary_search_by_key(&place, |(own, _)| *own).ok()?;
        self.0.get(at).map(|(_, raw)| raw)
    }

    pub(crate) fn contains(&self, place: Place) -> bool {
        self.get(place).is_some()
    }

    /// Puts a value down; gives the one that stood there.
    pub(crate) fn insert(&mut self, place: Place, raw: Raw) -> Option<Raw> {
        match self.0.binary_search_by_key(&place, |(own, _)| *own) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| std::mem::replace(old, raw)),
            Err(at) => {
                self.0.insert(at, (place, raw));
                None
            }
        }
    }

    /// Puts newer values over these.
    pub(crate) fn extend(&mut self, newer: Self) {
        for (place, raw) in newer.0 {
            self.insert(place, raw);
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.0.iter().map(|(place, _)| *place)
    }

    /// Bytes of the values.
    fn bytes(&self) -> usize {
        self.0.iter().map(|(_, raw)| raw.size()).sum()
    }

    fn size(&self) -> usize {
        self.bytes() + self.0.len() * size_of::<Place>()
    }
}

impl IntoIterator for Written {
    type Item = (Place, Raw);
    type IntoIter = std::vec::IntoIter<Self::Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What the run wants of one row.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Insert { cells: Written, reason: Box<str> },
    Update { base: Base, cells: Written, reason: Box<str> },
    Delete { base: Base, reason: Box<str> },
}

/// One row of the overlay: its key as it is stored, and what is wanted of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) raw: Box<[Raw]>,
    pub(crate) wanted: Wanted,
}

/// The changes of one resource.
#[derive(Default)]
pub(crate) struct Rows {
    /// Boxed: the nodes of a tree that grows in order stay half empty.
    pub(crate) rows: BTreeMap<Key, Box<Row>>,
    /// Overlay columns, sorted: the order of each base row's cells.
    pub(crate) columns: Arc<Vec<String>>,
    /// How many inserts there are, and which columns updates touched: a scan that neither sorts nor
    /// filters by these finds each changed row where the snapshot has it.
    pub(crate) inserts: usize,
    pub(crate) touched: BTreeSet<Place>,
}

/// The changes of a run, by resource.
#[derive(Default)]
pub(crate) struct Overlay {
    pub(crate) resources: BTreeMap<String, Rows>,
}

impl Overlay {
    /// What the run wants of this row.
    pub(crate) fn get(&self, resource: &str, key: &Key) -> Option<&Wanted> {
        self.resources.get(resource)?.rows.get(key).map(|row| &row.wanted)
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
    pub(crate) fn put(&mut self, key: Key, raw: Box<[Raw]>, wanted: Wanted) {
        match &wanted {
            Wanted::Insert { .. } => self.inserts += 1,
            Wanted::Update { cells, .. } => self.touched.extend(cells.places()),
            Wanted::Delete { .. } => {}
        }
        self.rows.insert(key, Box::new(Row { raw, wanted }));
    }
}

impl Wanted {
    /// Bytes that the host keeps for it.
    pub(crate) fn size(&self) -> usize {
        size_of::<Row>()
            + match self {
                Self::Insert { cells, reason } => cells.size() + reason.len(),
                Self::Update { base, cells, reason } => base.size() + cells.size() + reason.len(),
                Self::Delete { base, reason } => base.size() + reason.len(),
            }
    }

    /// Bytes of the values that it changes.
    pub(crate) fn changed_bytes(&self) -> usize {
        match self {
            Self::Insert { cells, .. } | Self::Update { cells, .. } => cells.bytes(),
            Self::Delete { base, .. } => base.cells.iter().map(Raw::size).sum(),
        }
    }
}
