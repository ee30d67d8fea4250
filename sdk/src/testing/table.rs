//! One in-memory table: its rows as they were, and the overlay of the run's changes.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::text::{Header, Source, infer};
use crate::contract::Value;
use crate::row::ColumnSpec;
use crate::value::{Kind, Ordered};

/// The values of a row's key columns.
pub(super) type Key = Vec<Ordered>;

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) scale: Option<u8>,
    pub(super) currency: Option<String>,
    pub(super) nullable: bool,
    /// Whether the header or a `Row` said the kind; an inferred one gives way.
    said: bool,
}

/// A row that the run changed.
#[derive(Clone, Debug)]
pub(super) struct Changed {
    /// Its values now; none if it is removed.
    pub(super) values: Option<Vec<Value>>,
    pub(super) reason: String,
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Places of the key's columns; empty where the table has none.
    pub(super) key: Vec<usize>,
    key_said: bool,
    source: Arc<Vec<Vec<Option<String>>>>,
    /// Sorted by key. Runs share it: each has its overlay.
    base: Arc<Vec<(Key, Vec<Value>)>>,
    pub(super) overlay: BTreeMap<Key, Changed>,
}

impl Table {
    pub(super) fn new(name: &str, source: Source) -> Self {
        let Source { columns: headers, rows } = source;
        let column = |(place, header): (usize, &Header)| {
            let values = rows.iter().filter_map(|row| row.get(place)?.as_deref());
            Column {
                name: header.name.clone(),
                kind: header.kind.unwrap_or_else(|| infer(values)),
                scale: header.scale,
                currency: header.currency.clone(),
                nullable: rows.iter().any(|row| row.get(place).is_some_and(Option::is_none)),
                said: header.kind.is_some(),
            }
        };
        let columns: Vec<_> = headers.iter().enumerate().map(column).collect();
        let marked: Vec<_> = headers.iter().enumerate().filter(|(_, h)| h.key).map(|(place, _)| place).collect();
        let key_said = !marked.is_empty();
        let id = headers.iter().position(|header| header.name == "id");
        let key = if key_said { marked } else { id.into_iter().collect() };
        let mut table = Self {
            name: name.to_owned(),
            columns,
            key,
            key_said,
            source: Arc::new(rows),
            base: Arc::default(),
            overlay: BTreeMap::new(),
        };
        table.build();
        table
    }

    /// Takes kinds and key from a `Row`, where nobody said them before.
    pub(super) fn note(&mut self, specs: &[ColumnSpec]) {
        let mut differs = false;
        for spec in specs {
            let Some(column) = self.columns.iter_mut().find(|column| column.name == spec.name) else { continue };
            column.nullable |= spec.nullable;
            if !column.said {
                column.said = true;
                differs |= column.kind != spec.kind;
                column.kind = spec.kind;
            }
        }
        let key = specs.iter().filter(|spec| spec.key).filter_map(|spec| self.place(spec.name));
        let key: Vec<_> = key.collect();
        if !self.key_said && !key.is_empty() {
            differs |= self.key != key;
            (self.key, self.key_said) = (key, true);
        }
        if differs {
            let untouched = self.overlay.is_empty();
            assert!(
                untouched,
                "say the kinds of `{}` in its first line: it was changed before they were known",
                self.name
            );
            self.build();
        }
    }

    fn build(&mut self) {
        let value = |column: &Column, cell: &Option<String>| match cell {
            None => Value::Null,
            Some(text) => column.kind.parse(text).unwrap_or_else(|| {
                panic!("`{}.{}` is {} and holds `{text}`", self.name, column.name, column.kind.word())
            }),
        };
        let mut base = Vec::with_capacity(self.source.len());
        for (number, cells) in self.source.iter().enumerate() {
            let values: Vec<_> = self.columns.iter().zip(cells).map(|(column, cell)| value(column, cell)).collect();
            let key = if self.key.is_empty() {
                vec![Ordered(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)))]
            } else {
                self.key_of(&values)
            };
            base.push((key, values));
        }
        base.sort_by(|(a, _), (b, _)| a.cmp(b));
        let double = base.array_windows().find(|[(a, _), (b, _)]| a == b);
        assert!(double.is_none(), "`{}` has two rows with one key: {:?}", self.name, double.map(|[(key, _), _]| key));
        self.base = Arc::new(base);
    }

    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|own| own.name == column)
    }

    fn key_of(&self, values: &[Value]) -> Key {
        self.key.iter().filter_map(|place| values.get(*place)).cloned().map(Ordered).collect()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&Key, &Vec<Value>)> {
        self.base.iter().map(|(key, values)| (key, values))
    }

    pub(super) fn row_at(&self, number: usize) -> Option<(&Key, &Vec<Value>)> {
        self.base.get(number).map(|(key, values)| (key, values))
    }

    /// The row before the run.
    pub(super) fn before(&self, key: &Key) -> Option<&Vec<Value>> {
        let place = self.base.binary_search_by(|(own, _)| own.cmp(key)).ok()?;
        self.base.get(place).map(|(_, values)| values)
    }

    /// The row as the run sees it now.
    pub(super) fn now(&self, key: &Key) -> Option<&Vec<Value>> {
        match self.overlay.get(key) {
            Some(changed) => changed.values.as_ref(),
            None => self.before(key),
        }
    }

    /// The table after the run's changes, as the start of another run.
    pub(super) fn applied(&self) -> Self {
        let mut table = self.clone();
        if table.overlay.is_empty() {
            return table;
        }
        let base = Arc::make_mut(&mut table.base);
        for (key, changed) in std::mem::take(&mut table.overlay) {
            match (base.binary_search_by(|(own, _)| own.cmp(&key)), changed.values) {
                (Ok(place), Some(values)) => {
                    if let Some(row) = base.get_mut(place) {
                        row.1 = values;
                    }
                }
                (Ok(place), None) => drop(base.remove(place)),
                (Err(place), Some(values)) => base.insert(place, (key, values)),
                (Err(_), None) => {}
            }
        }
        let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
        table.source = Arc::new(base.iter().map(|(_, values)| values.iter().map(text).collect()).collect());
        table
    }
}

/// The contract's order: by these columns, then by the key.
pub(super) fn order(a: (&[Value], &Key), b: (&[Value], &Key), by: &[usize]) -> Ordering {
    let compare = |place: &usize| match (a.0.get(*place), b.0.get(*place)) {
        (Some(a), Some(b)) => a.order(b),
        // Every row has every column.
        (_, _) => Ordering::Equal,
    };
    by.iter().map(compare).find(|order| order.is_ne()).unwrap_or_else(|| a.1.cmp(b.1))
}
