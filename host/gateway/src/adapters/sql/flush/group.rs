//! Changes of one shape together, in the order in which they are made.

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::binding::Resolved;
use mendwright_core::change::Action;

use super::super::raw::Raw;
use super::super::session::{NetChange, RawCells};

/// One row to write, without names: those are its group's.
#[derive(Clone, Debug)]
pub(crate) struct RowWrite {
    /// Its place in the journal.
    pub(crate) seq: i64,
    pub(crate) key: Vec<Raw>,
    pub(crate) guard: Vec<Raw>,
    pub(crate) set: Vec<Raw>,
}

/// Rows of one table to which the same thing happens in the same columns.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) resolved: Arc<Resolved>,
    pub(crate) action: Action,
    /// Physical names.
    pub(crate) key: Vec<String>,
    pub(crate) guard: Vec<String>,
    pub(crate) set: Vec<String>,
    pub(crate) rows: Vec<RowWrite>,
}

/// A change in physical terms: of a plan, or of a journal read backwards.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) resource: String,
    pub(crate) action: Action,
    pub(crate) key: RawCells,
    pub(crate) guard: RawCells,
    pub(crate) set: RawCells,
}

impl From<NetChange> for Write {
    fn from(net: NetChange) -> Self {
        Self { resource: net.change.resource, action: net.change.action, key: net.key, guard: net.guard, set: net.set }
    }
}

/// Phase, rank in it, resource, guarded and written columns: what a group's rows share, in flush order.
type Place = (u8, i64, String, Vec<String>, Vec<String>);

/// Sorts writes into groups: deletes with children before their parents, then updates, then inserts
/// with parents before their children. Within a group rows keep their order.
pub(crate) fn arrange(writes: Vec<Write>, resources: &BTreeMap<String, Arc<Resolved>>) -> Vec<Group> {
    let depth = depths(resources);
    let mut groups: BTreeMap<Place, Group> = BTreeMap::new();
    for write in writes {
        let Some(resolved) = resources.get(&write.resource) else { continue };
        let own = depth.get(&write.resource).copied().unwrap_or(0);
        let (phase, rank) = match write.action {
            Action::Delete => (0, -own),
            Action::Update => (1, own),
            Action::Insert => (2, own),
        };
        let split = |cells: RawCells| -> (Vec<String>, Vec<Raw>) { cells.into_iter().unzip() };
        let (key_names, key) = split(write.key);
        let (guard_names, guard) = split(write.guard);
        let (set_names, set) = split(write.set);
        let place = (phase, rank, write.resource, guard_names.clone(), set_names.clone());
        let group = groups.entry(place).or_insert_with(|| Group {
            resolved: Arc::clone(resolved),
            action: write.action,
            key: key_names,
            guard: guard_names,
            set: set_names,
            rows: Vec::new(),
        });
        group.rows.push(RowWrite { seq: 0, key, guard, set });
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    for (seq, row) in (1..).zip(groups.iter_mut().flat_map(|group| &mut group.rows)) {
        row.seq = seq;
    }
    groups
}

/// How many foreign keys lead upwards from each resource, at most; a cycle ends the count.
fn depths(resources: &BTreeMap<String, Arc<Resolved>>) -> BTreeMap<String, i64> {
    let mut depth: BTreeMap<String, i64> = resources.keys().map(|name| (name.clone(), 0)).collect();
    for _ in 0..resources.len() {
        let mut moved = false;
        for child in resources.values() {
            for key in &child.foreign_keys {
                let parent = resources
                    .values()
                    .find(|p| p.database == child.database && p.table == key.table && p.schema == key.schema);
                let Some(parent) = parent.filter(|parent| parent.name != child.name) else { continue };
                let wanted = depth.get(&parent.name).copied().unwrap_or(0) + 1;
                if let Some(own) = depth.get_mut(&child.name).filter(|own| **own < wanted) {
                    *own = wanted;
                    moved = true;
                }
            }
        }
        if !moved {
            break;
        }
    }
    depth
}
