//! What an execution came to: the changes it wants, and what they rest on.
//!
//! Each row is held once, in the form in which it is written ([`RowWrite`]); what people see of it is
//! made from that when they look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use mendwright_core::binding::Resolved;
use mendwright_core::change::{Action, Cells, Change, Key};
use mendwright_core::value::Value;

use super::connection::Arg;
use super::flush::group::{Group, RowWrite, Shape, arrange};
use super::raw::{Raw, to_value};

/// A statement whose rows must be the same in the flush.
#[derive(Clone, Debug)]
pub(crate) struct StableRead {
    pub(crate) resource: String,
    pub(crate) sql: String,
    pub(crate) args: Vec<Arg>,
    /// Rows that the job saw.
    pub(crate) rows: usize,
    /// Whether it saw them all.
    pub(crate) complete: bool,
    pub(crate) hash: [u8; 32],
}

impl StableRead {
    pub(super) fn new(resource: &str, sql: &str, args: Vec<Arg>, rows: usize, hash: Sha256) -> Self {
        Self {
            resource: resource.to_owned(),
            sql: sql.to_owned(),
            args,
            rows,
            complete: true,
            hash: hash.finalize().into(),
        }
    }

    pub(super) fn size(&self) -> usize {
        let args: usize = self
            .args
            .iter()
            .map(|arg| match arg {
                Arg::Raw(raw) => raw.size(),
                Arg::Int(_) => 8,
                Arg::Texts(texts) => texts.iter().flatten().map(String::len).sum(),
                Arg::Ints(ints) => ints.len() * 8,
            })
            .sum();
        self.sql.len() + args + size_of::<Self>()
    }
}

/// What a run did with one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceUse {
    /// Rows that databases returned for it.
    pub rows_read: u64,
    /// Rows that the tenant has there.
    pub rows_of_tenant: u64,
}

/// Changes of one kind to one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched<'a> {
    /// The resource.
    pub resource: &'a str,
    /// What happens to its rows.
    pub action: Action,
    /// Columns that are written; none for a delete.
    pub columns: Vec<&'a str>,
    /// How many rows.
    pub rows: usize,
}

/// What an execution came to: the changes it wants, and what they rest on.
pub struct Computed {
    /// In the order of a flush.
    pub(crate) groups: Vec<Group>,
    /// In the order of keys: group, and row in it.
    pub(crate) order: Vec<(u32, u32)>,
    pub(crate) reads: Vec<StableRead>,
    pub(crate) tenant: String,
    /// Every resource that the flush has to know.
    pub(crate) resources: BTreeMap<String, Arc<Resolved>>,
    /// Granted resources, by the operator's name.
    pub bindings: BTreeMap<String, Arc<Resolved>>,
    /// The databases, as a plan binds them.
    pub targets: Vec<mendwright_core::plan::header::Target>,
    /// What was done with each resource.
    pub usage: BTreeMap<String, ResourceUse>,
    /// Columns that were read of each resource.
    pub columns_read: BTreeMap<String, BTreeSet<String>>,
}

/// Groups as they grow, row by row in the order of keys.
#[derive(Default)]
pub(crate) struct Growing {
    pub(crate) groups: Vec<Group>,
    order: Vec<(u32, u32)>,
}

impl Growing {
    /// Begins a group; gives its number.
    pub(crate) fn begin(&mut self, shape: Shape) -> usize {
        self.groups.push(Group { shape, rows: Vec::new() });
        self.groups.len() - 1
    }

    /// Adds a row to a group.
    pub(crate) fn push(&mut self, group: usize, row: RowWrite) {
        let Some(rows) = self.groups.get_mut(group).map(|group| &mut group.rows) else { return };
        let place = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.order.push((place(group), place(rows.len())));
        rows.push(row);
    }
}

impl Computed {
    /// What grew, put into the order of a flush. Everything else is empty.
    pub(crate) fn new(growing: Growing, resources: BTreeMap<String, Arc<Resolved>>) -> Self {
        let Growing { mut groups, mut order } = growing;
        let former = arrange(&mut groups, &resources);
        let mut now = vec![0_u32; former.len()];
        for (place, former) in (0..).zip(former) {
            if let Some(now) = now.get_mut(former) {
                *now = place;
            }
        }
        for (group, _) in &mut order {
            *group = usize::try_from(*group).ok().and_then(|former| now.get(former)).copied().unwrap_or(*group);
        }
        Self {
            groups,
            order,
            reads: Vec::new(),
            tenant: String::new(),
            resources,
            bindings: BTreeMap::new(),
            targets: Vec::new(),
            usage: BTreeMap::new(),
            columns_read: BTreeMap::new(),
        }
    }

    fn at(&self, place: (u32, u32)) -> Option<(&Group, &RowWrite)> {
        let group = self.groups.get(usize::try_from(place.0).ok()?)?;
        Some((group, group.rows.get(usize::try_from(place.1).ok()?)?))
    }

    /// How many rows change.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The changes, by resource and key; each is made when it is asked for.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = Change> + '_ {
        (0..self.order.len()).map(|n| self.change(n))
    }

    /// The change of this place in the order of [`Computed::changes`].
    ///
    /// # Panics
    /// There are no more than `len` places.
    #[must_use]
    pub fn change(&self, n: usize) -> Change {
        let found = self.order.get(n).and_then(|place| self.at(*place));
        #[expect(clippy::expect_used, reason = "a place comes from `len`")]
        let (group, row) = found.expect("a place of the order");
        group.change(row)
    }

    /// Leaves only the changes that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&Change) -> bool) {
        let kept: Vec<bool> = self.changes().map(|change| keep(&change)).collect();
        self.retain_places(&kept);
    }

    /// Leaves the changes at whose place `true` stands, in the order of [`Computed::changes`].
    pub fn retain_places(&mut self, kept: &[bool]) {
        let order = std::mem::take(&mut self.order);
        let mut rows: Vec<Vec<Option<RowWrite>>> = self
            .groups
            .iter_mut()
            .map(|group| std::mem::take(&mut group.rows).into_iter().map(Some).collect())
            .collect();
        for ((group, row), _) in order.into_iter().zip(kept).filter(|(_, kept)| **kept) {
            let at = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
            let taken = rows.get_mut(at(group)).and_then(|rows| rows.get_mut(at(row))).and_then(Option::take);
            if let (Some(taken), Some(own)) = (taken, self.groups.get_mut(at(group))) {
                self.order.push((group, u32::try_from(own.rows.len()).unwrap_or(u32::MAX)));
                own.rows.push(taken);
            }
        }
        let mut next = 0_u32;
        let places: Vec<u32> = self
            .groups
            .iter()
            .map(|group| {
                let own = next;
                next += u32::from(!group.rows.is_empty());
                own
            })
            .collect();
        self.groups.retain(|group| !group.rows.is_empty());
        for (group, _) in &mut self.order {
            *group = usize::try_from(*group).ok().and_then(|group| places.get(group)).copied().unwrap_or(*group);
        }
    }

    /// What is done to which resource, without a look at the rows.
    pub fn touched(&self) -> impl Iterator<Item = Touched<'_>> + '_ {
        self.groups.iter().map(|group| Touched {
            resource: &group.resolved.name,
            action: group.action,
            columns: group.after.iter().map(|(name, _)| name.as_str()).collect(),
            rows: group.rows.len(),
        })
    }

    /// The databases that the changes touch.
    #[must_use]
    pub fn databases_written(&self) -> BTreeSet<String> {
        self.groups.iter().map(|group| group.resolved.database.clone()).collect()
    }
}

impl Group {
    /// A row of the group as people see it.
    fn change(&self, row: &RowWrite) -> Change {
        let key = self.resolved.key_columns().zip(&row.key).map(|((_, column), raw)| self.value(column.kind, raw));
        let cells = |shown: &[(String, usize)], raws: &[Raw]| -> Cells {
            let cell = |(name, at): &(String, usize)| {
                let column = self.resolved.columns.get(name)?;
                Some((name.clone(), self.value(column.kind, raws.get(*at)?)))
            };
            shown.iter().filter_map(cell).collect()
        };
        Change {
            resource: self.resolved.name.clone(),
            key: Key(key.collect()),
            action: self.action,
            before: cells(&self.before, &row.guard),
            after: cells(&self.after, &row.set),
            reason: row.reason.to_string(),
        }
    }

    /// What was read was looked at when it was planned, and what is written came from a value. Should it
    /// be neither all the same, it is shown as something that no approved value equals.
    fn value(&self, kind: mendwright_core::kind::Kind, raw: &Raw) -> Value {
        to_value(self.engine, kind, raw).unwrap_or_else(|| Value::Text(format!("unreadable {}", raw.tagged())))
    }
}
