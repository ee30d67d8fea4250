//! Changes of one shape together, in the order in which they are made.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use mendwright_core::binding::Resolved;
use mendwright_core::change::Action;

use super::super::engine::Engine;
use super::super::raw::Raw;

/// One row to write, without names: those are its group's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowWrite {
    pub(crate) key: Box<[Raw]>,
    /// What must still be so: for an update the columns read or written and those of the way to the
    /// tenant, for a delete the whole row; nothing for an insert.
    pub(crate) guard: Box<[Raw]>,
    /// What shall be so: for an insert everything that it sets beside the key.
    pub(crate) set: Box<[Raw]>,
    /// Why, in the job's words.
    pub(crate) reason: Box<str>,
}

impl RowWrite {
    /// Bytes that the host keeps for it.
    pub(crate) fn size(&self) -> usize {
        let values = self.key.iter().chain(&self.guard).chain(&self.set);
        size_of::<Self>() + self.reason.len() + values.map(Raw::size).sum::<usize>()
    }
}

/// What rows share to which the same thing happens in the same columns of one table.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) resolved: Arc<Resolved>,
    pub(crate) engine: Engine,
    pub(crate) action: Action,
    /// Physical names.
    pub(crate) key: Vec<String>,
    pub(crate) guard: Vec<String>,
    pub(crate) set: Vec<String>,
    /// What people see as it was and as it shall be: logical names, and their places among the
    /// guarded and the written columns.
    pub(crate) before: Vec<(String, usize)>,
    pub(crate) after: Vec<(String, usize)>,
}

/// Rows of one shape.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) shape: Shape,
    pub(crate) rows: Vec<RowWrite>,
}

impl Deref for Group {
    type Target = Shape;
    fn deref(&self) -> &Shape {
        &self.shape
    }
}

impl Shape {
    /// A shape for changes that no plan lists: those of a journal read backwards.
    pub(crate) fn new(
        resolved: Arc<Resolved>,
        engine: Engine,
        action: Action,
        [key, guard, set]: [Vec<String>; 3],
    ) -> Self {
        Self { resolved, engine, action, key, guard, set, before: Vec::new(), after: Vec::new() }
    }

    /// The order of a flush: deletes with children before their parents, then updates, then inserts
    /// with parents before their children.
    fn order(&self, other: &Self, depth: &Depths) -> Ordering {
        let rank = |shape: &Self| {
            let own = depth.get(&shape.resolved.name).copied().unwrap_or(0);
            match shape.action {
                Action::Delete => (0, -own),
                Action::Update => (1, own),
                Action::Insert => (2, own),
            }
        };
        let names = |shape: &Self| (shape.resolved.name.clone(), shape.guard.clone(), shape.set.clone());
        rank(self)
            .cmp(&rank(other))
            .then_with(|| names(self).cmp(&names(other)))
            .then_with(|| self.before.cmp(&other.before))
    }
}

/// Sorts groups into the order of a flush; gives for each its former place.
pub(crate) fn arrange(groups: &mut Vec<Group>, resources: &BTreeMap<String, Arc<Resolved>>) -> Vec<usize> {
    let depth = depths(resources);
    let mut numbered: Vec<(usize, Group)> = std::mem::take(groups).into_iter().enumerate().collect();
    numbered.sort_by(|(_, a), (_, b)| a.shape.order(&b.shape, &depth));
    let (places, sorted) = numbered.into_iter().unzip();
    *groups = sorted;
    places
}

/// Resource → how many foreign keys lead upwards from it, at most.
type Depths = BTreeMap<String, i64>;

/// A cycle ends the count.
fn depths(resources: &BTreeMap<String, Arc<Resolved>>) -> Depths {
    let mut depth: Depths = resources.keys().map(|name| (name.clone(), 0)).collect();
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
