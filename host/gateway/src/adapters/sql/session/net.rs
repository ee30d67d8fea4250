//! One row of the overlay as what is to be written of it.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::binding::ResolvedColumn;
use mendwright_core::change::Action;

use super::super::computed::Growing;
use super::super::flush::group::{RowWrite, Shape};
use super::super::overlay::{Base, Place, Row, Wanted, Written};
use super::super::raw::Raw;
use super::table::Table;
use super::{refused, stored_columns};
use crate::error::Result;

/// How a signature ends: by an action, which is no place of a column.
const INSERT: Place = Place::MAX;
const UPDATE: Place = Place::MAX - 1;
const DELETE: Place = Place::MAX - 2;

/// The rows of one table on their way from the overlay into groups.
pub(super) struct Net<'a> {
    table: &'a Table,
    /// Overlay columns: the order of a base row's cells.
    columns: &'a [String],
    read: &'a BTreeSet<String>,
    /// Which of them stand on the way to the tenant, and are guarded with it.
    of_path: Vec<bool>,
    /// What is written of a row (places, for an update each with whether it differs; then the action)
    /// → its group.
    groups: BTreeMap<Vec<Place>, usize>,
    /// That of the row at hand.
    signature: Vec<Place>,
}

impl<'a> Net<'a> {
    pub(super) fn new(table: &'a Table, columns: &'a [String], read: &'a BTreeSet<String>) -> Self {
        let path = table.path_columns();
        let physical = |name: &String| table.resolved.columns.get(name).map(|column| &column.column);
        let of_path = columns.iter().map(|name| physical(name).is_some_and(|own| path.contains(own))).collect();
        Self { table, columns, read, of_path, groups: BTreeMap::new(), signature: Vec::new() }
    }

    /// Adds a row. `whole` is every stored column of a row that is to be deleted.
    pub(super) fn push(&mut self, row: Row, whole: Vec<Raw>, growing: &mut Growing) -> Result<()> {
        let Row { raw: key, wanted } = row;
        self.signature.clear();
        match wanted {
            Wanted::Update { base, cells, reason } => self.update(key, base, cells, reason, growing),
            Wanted::Insert { cells, reason } => {
                self.signature.extend(cells.places().chain([INSERT]));
                let group = match self.group() {
                    Some(group) => group,
                    None => self.begin(self.insert_shape(&cells), growing),
                };
                let set = cells.into_iter().map(|(_, raw)| raw).collect();
                growing.push(group, RowWrite { key, guard: Box::default(), set, reason });
                Ok(())
            }
            Wanted::Delete { reason, .. } => {
                self.signature.push(DELETE);
                let group = match self.group() {
                    Some(group) => group,
                    None => self.begin(self.delete_shape(), growing),
                };
                let row = RowWrite { key, guard: whole.into(), set: Box::default(), reason };
                self.readable(&row, growing, group)?;
                growing.push(group, row);
                Ok(())
            }
        }
    }

    fn update(
        &mut self,
        key: Box<[Raw]>,
        base: Base,
        cells: Written,
        reason: Box<str>,
        growing: &mut Growing,
    ) -> Result<()> {
        let table = self.table;
        let mut set = Vec::with_capacity(1);
        let mut places: Vec<Place> = Vec::with_capacity(1);
        for (place, raw) in cells {
            let Some((name, column)) = table.bound(place) else { continue };
            let was = self.columns.binary_search(name).ok().and_then(|at| base.cells.get(at));
            let differs = match was {
                Some(was) if *was == raw => false,
                Some(was) => {
                    let value = |raw| table.value(name, column, raw).map_err(refused);
                    value(was)? != value(&raw)?
                }
                None => true,
            };
            places.push(place);
            self.signature.extend([place, Place::from(differs)]);
            if differs {
                set.push(raw);
            }
        }
        if set.is_empty() {
            return Ok(());
        }
        let seen = |name: &String| {
            !table.resolved.key.contains(name)
                && (self.read.contains(name) || table.place(name).is_some_and(|place| places.contains(&place)))
        };
        let mut guard: Vec<Raw> = base.path.into_vec();
        for ((name, raw), of_path) in self.columns.iter().zip(base.cells).zip(&self.of_path) {
            let Some(column) = table.resolved.columns.get(name).filter(|_| seen(name)) else { continue };
            table.value(name, column, &raw).map_err(refused)?;
            if !of_path {
                guard.push(raw);
            }
        }
        self.signature.push(UPDATE);
        let group = match self.group() {
            Some(group) => group,
            None => self.begin(self.update_shape(&seen), growing),
        };
        growing.push(group, RowWrite { key, guard: guard.into(), set: set.into(), reason });
        Ok(())
    }

    /// The group of rows like this one.
    fn group(&self) -> Option<usize> {
        self.groups.get(self.signature.as_slice()).copied()
    }

    fn begin(&mut self, shape: Shape, growing: &mut Growing) -> usize {
        let group = growing.begin(shape);
        self.groups.insert(self.signature.clone(), group);
        group
    }

    fn shape(&self, action: Action, guard: Vec<String>, set: Vec<String>) -> Shape {
        let key = self.table.resolved.key_columns().map(|(_, column)| column.column.clone()).collect();
        Shape::new(self.table.resolved.clone(), self.table.engine, action, [key, guard, set])
    }

    fn update_shape(&self, seen: &dyn Fn(&String) -> bool) -> Shape {
        let mut guard = self.table.path_columns();
        let mut before = Vec::new();
        for name in self.columns.iter().filter(|name| seen(name)) {
            let Some(column) = self.table.resolved.columns.get(name) else { continue };
            let at = guard.iter().position(|physical| *physical == column.column).unwrap_or(guard.len());
            if at == guard.len() {
                guard.push(column.column.clone());
            }
            before.push((name.clone(), at));
        }
        let differs = self.signature.chunks_exact(2).filter_map(|pair| match pair {
            [place, 1] => self.table.bound(*place),
            _ => None,
        });
        let (after, set) = named(differs);
        Shape { before, after, ..self.shape(Action::Update, guard, set) }
    }

    fn insert_shape(&self, cells: &Written) -> Shape {
        let (after, set) = named(cells.places().filter_map(|place| self.table.bound(place)));
        Shape { after, ..self.shape(Action::Insert, Vec::new(), set) }
    }

    /// A delete shows and binds every bound column; unbound ones are guarded and journaled.
    fn delete_shape(&self) -> Shape {
        let guard = stored_columns(&self.table.resolved);
        let bound = self.table.resolved.columns.iter().filter(|(name, _)| !self.table.resolved.key.contains(name));
        let before = bound.filter_map(|(name, column)| {
            Some((name.clone(), guard.iter().position(|physical| *physical == column.column)?))
        });
        Shape { before: before.collect(), ..self.shape(Action::Delete, guard, Vec::new()) }
    }

    /// What people are to see of a row must be what its columns hold.
    fn readable(&self, row: &RowWrite, growing: &Growing, group: usize) -> Result<()> {
        let Some(group) = growing.groups.get(group) else { return Ok(()) };
        for (name, at) in &group.before {
            if let (Some(column), Some(raw)) = (self.table.resolved.columns.get(name), row.guard.get(*at)) {
                self.table.value(name, column, raw).map_err(refused)?;
            }
        }
        Ok(())
    }
}

/// Logical names with their places in the list of physical names.
fn named<'t>(columns: impl Iterator<Item = (&'t String, &'t ResolvedColumn)>) -> (Vec<(String, usize)>, Vec<String>) {
    let (names, physical): (Vec<String>, Vec<String>) =
        columns.map(|(name, column)| (name.clone(), column.column.clone())).unzip();
    (names.into_iter().zip(0..).collect(), physical)
}
