//! One random case: a schema, the rows of two tenants, a repair for one of them, and what its rows are
//! then.

use mendwright_core::change::Key;
use mendwright_core::value::Value;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::schema::{self, COLUMNS, Rows, Schema};
use crate::direct::{Direct, Edit};
use crate::world::{Engine, World};

/// How large a case is; what is in it comes from the seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) seed: u64,
    pub(super) tables: usize,
    pub(super) rows: usize,
    pub(super) edits: usize,
}

pub(super) struct Case {
    pub(super) schema: Schema,
    rows: Vec<Vec<(Rows, &'static str)>>,
    pub(super) edits: Vec<Edit>,
    /// The rows of tenant A after the edits, by table.
    pub(super) after: Vec<Rows>,
    pub(super) random: ChaCha8Rng,
}

impl Case {
    pub(super) fn of(size: Size) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(size.seed);
        let schema = Schema { composite: (0..size.tables).map(|_| random.random_range(0..2) == 0).collect() };
        let mut rows: Vec<Vec<(Rows, &'static str)>> = Vec::new();
        for table in 0..size.tables {
            let mut of_tenants = vec![(Rows::new(), "A"), (Rows::new(), "B")];
            for _ in 0..size.rows {
                for tenant in 0..2 {
                    let key =
                        schema::key(&schema, table, |k| of_tenants.iter().any(|(r, _)| r.contains_key(k)), &mut random);
                    let parents = table.checked_sub(1).map(|parent| &rows[parent][tenant].0);
                    if let Some(row) = schema::row(&schema, table, parents, &mut random) {
                        of_tenants[tenant].0.insert(key, row);
                    }
                }
            }
            rows.push(of_tenants);
        }
        let after = rows.iter().map(|of_tenants| of_tenants[0].0.clone()).collect();
        let mut case = Self { schema, rows, edits: vec![], after, random };
        for _ in 0..size.edits {
            case.edit();
        }
        case
    }

    /// One more edit that makes sense after those before it.
    fn edit(&mut self) {
        let table = self.random.random_range(0..self.after.len());
        let name = Schema::name(table);
        let picked = self.random.random_range(0..self.after[table].len().max(1));
        let existing = self.after[table].keys().nth(picked).cloned();
        match (self.random.random_range(0..5), existing) {
            (0, _) => {
                let taken = |key: &Key| {
                    self.after[table].contains_key(key)
                        || self.rows[table].iter().any(|(rows, _)| rows.contains_key(key))
                };
                let key = schema::key(&self.schema, table, taken, &mut self.random);
                let parents = table.checked_sub(1).map(|parent| &self.after[parent]);
                let Some(cells) = schema::row(&self.schema, table, parents, &mut self.random) else { return };
                self.edits.push(Edit::Insert(name, key.clone(), cells.clone().into_iter().collect()));
                self.after[table].insert(key, cells);
            }
            (1, Some(key)) => {
                let up = self.schema.up(table + 1 - usize::from(table + 1 >= self.after.len()));
                let is_parent = self.after.get(table + 1).is_some_and(|children| {
                    children.values().any(|row| up.iter().zip(&key.0).all(|(column, value)| row[column] == *value))
                });
                if !is_parent {
                    self.edits.push(Edit::Delete(name, key.clone()));
                    self.after[table].remove(&key);
                }
            }
            (_, Some(key)) => {
                let mut cells: Vec<(String, Value)> = Vec::new();
                for _ in 0..self.random.random_range(1..4) {
                    let column = COLUMNS[self.random.random_range(0..COLUMNS.len())].0;
                    if cells.iter().all(|(name, _)| name != column) {
                        cells.push((column.to_owned(), schema::value(column, &mut self.random)));
                    }
                }
                self.edits.push(Edit::Update(name, key.clone(), cells.clone()));
                self.after[table].get_mut(&key).unwrap().extend(cells);
            }
            (_, None) => {}
        }
    }

    /// The same edits in another order that makes sense: parents before children, and what happens to
    /// one row as it was.
    pub(super) fn shuffled(&mut self) -> Vec<Edit> {
        let place = |edit: &Edit| match edit {
            Edit::Insert(table, key, _) | Edit::Update(table, key, _) | Edit::Delete(table, key) => {
                (table.clone(), key.clone())
            }
        };
        let mut inserts: Vec<Edit> = self.edits.iter().filter(|e| matches!(e, Edit::Insert(..))).cloned().collect();
        inserts.shuffle(&mut self.random);
        inserts.sort_by_key(|edit| place(edit).0);
        let mut groups: Vec<((String, Key), Vec<Edit>)> = Vec::new();
        for edit in self.edits.iter().filter(|edit| !matches!(edit, Edit::Insert(..))) {
            match groups.iter_mut().find(|(at, _)| *at == place(edit)) {
                Some((_, edits)) => edits.push(edit.clone()),
                None => groups.push((place(edit), vec![edit.clone()])),
            }
        }
        groups.shuffle(&mut self.random);
        inserts.into_iter().chain(groups.into_iter().flat_map(|(_, edits)| edits)).collect()
    }

    pub(super) async fn world(&self, engine: Engine) -> (World, Direct) {
        let world = World::of(engine, &self.schema.sql(engine, &self.rows), &self.schema.bindings()).await;
        let direct = Direct::of(&world);
        (world, direct)
    }
}
