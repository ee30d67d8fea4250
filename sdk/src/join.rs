//! Two tables side by side in one order.
//!
//! The parents come in the order of their key, the children in the order of the column that holds it.
//! So each child belongs to the parent just read, to a later one, or to none: one pass over both and the
//! children of one parent are all that is needed.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::error::{Error, Result};
use crate::row::{Column, Keyed, Row};
use crate::scan::Scan;
use crate::value::Field;

/// Children held for one parent unless [`Groups::at_most`] says otherwise. A hundred thousand rows of a
/// few columns fill a job's usual 64 MiB by half; a parent with more of them needs a job that was
/// written for it.
pub const CHILDREN_MAX: usize = 100_000;

/// Room made for a parent's children before any is there: a parent with more grows it, and one giant
/// must not make room for a giant at every parent after it.
const HINT_MAX: usize = 64;

/// What a child says of its parent: the parent's key, or an `Option` of it where it can be NULL.
pub trait JoinKey<K> {
    /// The parent's key; none for NULL.
    fn join_key(&self) -> Option<&K>;
}

impl<K> JoinKey<K> for K {
    fn join_key(&self) -> Option<&K> {
        Some(self)
    }
}

impl<K> JoinKey<K> for Option<K> {
    fn join_key(&self) -> Option<&K> {
        self.as_ref()
    }
}

/// The columns of a child that hold the key of its parent `P`: one column constant, or a tuple of them
/// for a key of several columns.
pub trait JoinOn<P: Keyed>: Copy + 'static {
    /// The child's row type.
    type Child: Row;
    /// The columns, in the order of the parent's key.
    fn columns(self) -> Vec<&'static str>;
    /// The parent's key in this child; none where it is NULL.
    fn key(self, child: &Self::Child) -> Option<P::Key>;
}

impl<P, C, T, A> JoinOn<P> for Column<C, T, A>
where
    P: Keyed,
    C: Row,
    T: Field + JoinKey<P::Key> + 'static,
    A: 'static,
{
    type Child = C;

    fn columns(self) -> Vec<&'static str> {
        vec![self.name()]
    }

    fn key(self, child: &C) -> Option<P::Key> {
        self.of(child).join_key().cloned()
    }
}

macro_rules! join_tuple {
    ($($column:ident $type:ident $access:ident $key:ident),+) => {
        impl<P, C, $($type, $access, $key),+> JoinOn<P> for ($(Column<C, $type, $access>,)+)
        where
            P: Keyed<Key = ($($key,)+)>,
            C: Row,
            $($type: Field + JoinKey<$key> + 'static, $access: 'static, $key: Clone,)+
            P::Key: Clone,
        {
            type Child = C;

            fn columns(self) -> Vec<&'static str> {
                let ($($column,)+) = self;
                vec![$($column.name()),+]
            }

            fn key(self, child: &C) -> Option<P::Key> {
                let ($($column,)+) = self;
                Some(($($column.of(child).join_key()?.clone(),)+))
            }
        }
    };
}
join_tuple!(a T1 A1 K1, b T2 A2 K2);
join_tuple!(a T1 A1 K1, b T2 A2 K2, c T3 A3 K3);

/// Where the key that a child names stands to a parent's; none where it is NULL.
type Against<C, K> = Box<dyn Fn(&C, &K) -> Option<Ordering>>;

/// The children that belong to one parent, and those before them that belong to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<C> {
    /// The parent's children, in the order of their key.
    pub children: Vec<C>,
    /// Children of parents that were not there. They can only exist where a child's tenant does not
    /// follow from its parent.
    pub orphans: Vec<C>,
}

/// A scan whose rows are taken in groups, by ascending keys.
#[must_use = "groups read nothing until they are taken"]
pub struct Groups<'r, C, K> {
    rows: Peekable<Scan<'r, C>>,
    against: Against<C, K>,
    table: String,
    at_most: usize,
    /// How many children the last parent had: about what the next one will have.
    hint: usize,
}

impl<C, K> std::fmt::Debug for Groups<'_, C, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups").field("table", &self.table).field("at_most", &self.at_most).finish_non_exhaustive()
    }
}

impl<'r, C, K> Groups<'r, C, K> {
    pub(crate) fn new(rows: Scan<'r, C>, table: &str, against: Against<C, K>) -> Self {
        Self { rows: rows.peekable(), against, table: table.to_owned(), at_most: CHILDREN_MAX, hint: 0 }
    }

    /// Fails at a parent with more children than this, with `TOO_MANY_CHILDREN`.
    pub const fn at_most(mut self, children: usize) -> Self {
        self.at_most = children;
        self
    }

    /// The children of the parent with this key. Keys must be asked for in ascending order.
    ///
    /// # Errors
    /// What the scan says, and a failure `TOO_MANY_CHILDREN`.
    pub fn take(&mut self, parent: &K) -> Result<Group<C>> {
        self.up_to(Some(parent))
    }

    /// Everything that is left, all of it orphans.
    ///
    /// # Errors
    /// As [`Groups::take`].
    pub fn rest(&mut self) -> Result<Vec<C>> {
        Ok(self.up_to(None)?.orphans)
    }

    fn up_to(&mut self, parent: Option<&K>) -> Result<Group<C>> {
        let mut group = Group { children: Vec::with_capacity(self.hint.min(HINT_MAX)), orphans: Vec::new() };
        while let Some(next) = self.rows.peek() {
            let place = match next {
                Ok(row) => match parent.and_then(|parent| (self.against)(row, parent)) {
                    Some(Ordering::Greater) => break,
                    Some(Ordering::Equal) => &mut group.children,
                    // Of an earlier parent, of none, or after the last.
                    Some(Ordering::Less) | None => &mut group.orphans,
                },
                Err(_) => &mut group.orphans,
            };
            if let Some(row) = self.rows.next() {
                place.push(row?);
            }
            if place.len() > self.at_most {
                let message = format!("more than {} rows of `{}` belong to one row", self.at_most, self.table);
                return Err(Error::failure("TOO_MANY_CHILDREN", message));
            }
        }
        self.hint = group.children.len();
        Ok(group)
    }
}

/// An iterator over parents with their children; see [`Scan::with`].
#[must_use = "a join reads nothing until it is iterated"]
pub struct Joined<'r, P: Keyed, C, K> {
    parents: Scan<'r, P>,
    children: Groups<'r, C, K>,
}

impl<P: Keyed, C, K> std::fmt::Debug for Joined<'_, P, C, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Joined").field("parents", &self.parents).field("children", &self.children).finish()
    }
}

impl<'r, P, C> Joined<'r, P, C, P::Key>
where
    P: Keyed,
    P::Key: Ord,
    C: Row,
{
    pub(crate) fn new<On: JoinOn<P, Child = C>>(parents: Scan<'r, P>, mut children: Scan<'r, C>, on: On) -> Self {
        for column in on.columns() {
            children = children.order_by_name(column);
        }
        let children = Groups::new(
            children,
            C::TABLE,
            Box::new(move |child: &C, parent: &P::Key| Some(on.key(child)?.cmp(parent))),
        );
        Self { parents, children }
    }

    /// Fails at a parent with more children than this, with `TOO_MANY_CHILDREN`; 100,000 otherwise.
    pub fn at_most(mut self, children: usize) -> Self {
        self.children = self.children.at_most(children);
        self
    }

    /// Delivers the children that have no parent too, each before the next parent.
    pub fn or_orphans(self) -> WithOrphans<'r, P, C> {
        WithOrphans { joined: self, waiting: Vec::new().into_iter(), parent: None }
    }

    fn next_group(&mut self) -> Option<Result<(P, Group<C>)>> {
        let parent = self.parents.next()?;
        Some(parent.and_then(|parent| {
            let group = self.children.take(&parent.key())?;
            Ok((parent, group))
        }))
    }
}

impl<P, C> Iterator for Joined<'_, P, C, P::Key>
where
    P: Keyed,
    P::Key: Ord,
    C: Row,
{
    type Item = Result<(P, Vec<C>)>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_group()?.map(|(parent, group)| (parent, group.children)))
    }
}

/// A parent with its children, or a child without a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Family<P, C> {
    /// A parent with its children.
    Parent(P, Vec<C>),
    /// A child whose parent is not there.
    Orphan(C),
}

/// An iterator over families; see [`Joined::or_orphans`].
#[must_use = "a join reads nothing until it is iterated"]
#[derive(Debug)]
pub struct WithOrphans<'r, P: Keyed, C> {
    joined: Joined<'r, P, C, P::Key>,
    waiting: std::vec::IntoIter<C>,
    parent: Option<(P, Vec<C>)>,
}

impl<P, C> Iterator for WithOrphans<'_, P, C>
where
    P: Keyed,
    P::Key: Ord,
    C: Row,
{
    type Item = Result<Family<P, C>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(orphan) = self.waiting.next() {
                return Some(Ok(Family::Orphan(orphan)));
            }
            if let Some((parent, children)) = self.parent.take() {
                return Some(Ok(Family::Parent(parent, children)));
            }
            match self.joined.next_group() {
                Some(Ok((parent, group))) => {
                    self.waiting = group.orphans.into_iter();
                    self.parent = Some((parent, group.children));
                }
                Some(Err(error)) => return Some(Err(error)),
                None => match self.joined.children.rest() {
                    Ok(rest) if rest.is_empty() => return None,
                    Ok(rest) => self.waiting = rest.into_iter(),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}
