//! Reading a table row by row, a page at a time.

use crate::contract::{Comparison, Filter, Query, Value};
use crate::dynamic::DynRow;
use crate::error::Result;
use crate::host;
use crate::join::{Groups, JoinOn, Joined};
use crate::row::{Column, Keyed, Row};
use crate::run::Run;
use crate::value::{Field, Ordered};

/// How a row's values become an `R`.
pub(crate) type Decode<R> = Box<dyn Fn(Vec<Value>) -> Result<R>>;

/// An iterator over the rows of one table, in the order of its key unless [`Scan::order_by`] says
/// otherwise. Nothing is read before the first row is asked for; then one page of up to 1,000 rows is
/// held at a time. After an error it ends.
///
/// A scan sees the job's own changes made before its next page is read.
#[must_use = "a scan reads nothing until it is iterated"]
pub struct Scan<'r, R> {
    run: &'r Run,
    state: State,
    page: std::vec::IntoIter<Vec<Value>>,
    decode: Decode<R>,
}

enum State {
    Unopened(Query),
    Open(host::Cursor),
    Ended,
}

impl<R> std::fmt::Debug for Scan<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::Unopened(query) => &query.table,
            State::Open(_) => "open",
            State::Ended => "ended",
        };
        f.debug_struct("Scan").field("state", &state).finish_non_exhaustive()
    }
}

impl<'r, R> Scan<'r, R> {
    pub(crate) fn new(run: &'r Run, table: &str, columns: Vec<String>, decode: Decode<R>) -> Self {
        let query = Query { table: table.to_owned(), columns, filters: Vec::new(), order_by: Vec::new() };
        Self { run, state: State::Unopened(query), page: Vec::new().into_iter(), decode }
    }

    /// One condition more, by the column's name. All conditions must hold.
    pub fn filter(mut self, column: &str, op: Comparison, values: Vec<Value>) -> Self {
        if let State::Unopened(query) = &mut self.state {
            query.filters.push(Filter { column: column.to_owned(), op, values });
        }
        self
    }

    /// Sorts by this column (and those named before), by its name; the key breaks ties.
    pub fn order_by_name(mut self, column: &str) -> Self {
        if let State::Unopened(query) = &mut self.state {
            query.order_by.push(column.to_owned());
        }
        self
    }

    fn next_page(&mut self) -> Result<bool> {
        self.run.flush()?;
        if let State::Unopened(query) = &self.state {
            self.state = State::Open(host::scan(query)?);
        }
        let State::Open(cursor) = &self.state else { return Ok(false) };
        self.page = host::next_page(cursor)?.into_iter();
        Ok(self.page.len() > 0)
    }
}

impl<'r, R: Row> Scan<'r, R> {
    fn compare<T: Field, A>(self, column: Column<R, T, A>, op: Comparison, value: impl Into<T>) -> Self {
        self.filter(column.name(), op, vec![value.into().to_value()])
    }

    /// Only rows whose column equals the value, byte for byte; NULL equals NULL.
    pub fn where_eq<T: Field, A>(self, column: Column<R, T, A>, value: impl Into<T>) -> Self {
        self.compare(column, Comparison::Eq, value)
    }

    /// Only rows whose key column is less than the value.
    pub fn where_lt<T: Field, A>(self, column: Column<R, T, A>, value: impl Into<T>) -> Self {
        self.compare(column, Comparison::Lt, value)
    }

    /// Only rows whose key column is at most the value.
    pub fn where_le<T: Field, A>(self, column: Column<R, T, A>, value: impl Into<T>) -> Self {
        self.compare(column, Comparison::Le, value)
    }

    /// Only rows whose key column is greater than the value.
    pub fn where_gt<T: Field, A>(self, column: Column<R, T, A>, value: impl Into<T>) -> Self {
        self.compare(column, Comparison::Gt, value)
    }

    /// Only rows whose key column is at least the value.
    pub fn where_ge<T: Field, A>(self, column: Column<R, T, A>, value: impl Into<T>) -> Self {
        self.compare(column, Comparison::Ge, value)
    }

    /// Only rows whose column is NULL.
    pub fn is_null<T: Field, A>(self, column: Column<R, T, A>) -> Self {
        self.filter(column.name(), Comparison::IsNull, Vec::new())
    }

    /// Only rows whose column equals one of up to 1,000 values.
    pub fn is_in<T: Field, A>(self, column: Column<R, T, A>, values: impl IntoIterator<Item = T>) -> Self {
        self.filter(column.name(), Comparison::IsIn, values.into_iter().map(|value| value.to_value()).collect())
    }

    /// Sorts by this column (and those named before); the key breaks ties.
    pub fn order_by<T: Field, A>(self, column: Column<R, T, A>) -> Self {
        self.order_by_name(column.name())
    }

    /// Each row with its children: the rows whose column `on` holds this row's key. Both tables are read
    /// once, side by side in one order; only one row's children are held.
    pub fn with<On: JoinOn<R>>(self, on: On) -> Joined<'r, R, On::Child, R::Key>
    where
        R: Keyed,
        R::Key: Ord,
    {
        let children = self.run.scan::<On::Child>();
        self.with_scan(children, on)
    }

    /// Like [`Scan::with`], with conditions on the children: they are those of `children`, whose order
    /// is set here.
    pub fn with_scan<On: JoinOn<R>>(self, children: Scan<'r, On::Child>, on: On) -> Joined<'r, R, On::Child, R::Key>
    where
        R: Keyed,
        R::Key: Ord,
    {
        Joined::new(self, children, on)
    }
}

impl<'r> Scan<'r, DynRow> {
    /// The rows in groups by the value of a column that the scan names; its order is set here.
    pub fn groups(self, by: &str) -> Groups<'r, DynRow, Ordered> {
        let (table, place) = match &self.state {
            State::Unopened(query) => (query.table.clone(), query.columns.iter().position(|name| name == by)),
            State::Open(_) | State::Ended => (String::new(), None),
        };
        let against = move |row: &DynRow, parent: &Ordered| {
            let value = place.and_then(|place| row.at(place)).filter(|value| !value.is_null())?;
            Some(value.order(&parent.0))
        };
        Groups::new(self.order_by_name(by), &table, Box::new(against))
    }

    /// Only rows whose column equals the value, byte for byte; NULL equals NULL.
    pub fn eq(self, column: &str, value: impl Into<Value>) -> Self {
        self.filter(column, Comparison::Eq, vec![value.into()])
    }
}

impl<R> Iterator for Scan<'_, R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(values) = self.page.next() {
                let row = (self.decode)(values);
                if row.is_err() {
                    self.end();
                }
                return Some(row);
            }
            match self.next_page() {
                Ok(true) => {}
                Ok(false) => {
                    self.end();
                    return None;
                }
                Err(error) => {
                    self.end();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<R> Scan<'_, R> {
    fn end(&mut self) {
        self.state = State::Ended;
        self.page = Vec::new().into_iter();
    }
}
