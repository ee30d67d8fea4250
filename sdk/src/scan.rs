//! Reading a table row by row, a page at a time.

use std::rc::Rc;

use crate::contract::{Comparison, Filter, Page, Query, Value};
use crate::dynamic::{Block, DynRow, Shape};
use crate::error::Result;
use crate::host;
use crate::join::{Groups, JoinOn, Joined};
use crate::row::{Column, Keyed, Row};
use crate::run::Run;
use crate::value::{Field, Ordered};

/// How the row at a place of a page becomes an `R`.
pub(crate) type Decode<R> = fn(&Rc<Block>, usize) -> Result<R>;

/// An iterator over the rows of one table, in the order of its key unless [`Scan::order_by`] says
/// otherwise. Nothing is read before the first row is asked for; then one page of up to 1,000 rows is
/// held at a time. After an error it ends.
///
/// A scan sees the job's own changes made before its next page is read.
#[must_use = "a scan reads nothing until it is iterated"]
pub struct Scan<'r, R> {
    run: &'r Run,
    state: State,
    block: Rc<Block>,
    /// The next row's place in the page.
    next: usize,
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
    pub(crate) fn new(run: &'r Run, shape: Rc<Shape>, decode: Decode<R>) -> Self {
        let (table, columns) = (shape.table.clone(), shape.columns.clone());
        let query = Query { table, columns, filters: Vec::new(), order_by: Vec::new() };
        let block = Rc::new(Block { shape, page: Page::default() });
        Self { run, state: State::Unopened(query), block, next: 0, decode }
    }

    fn show(&mut self, page: Page) {
        self.block = Rc::new(Block { shape: Rc::clone(&self.block.shape), page });
        self.next = 0;
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
        let page = host::next_page(cursor)?;
        self.show(page);
        Ok(self.block.page.n_rows > 0)
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
            let value = row.value(place?).filter(|value| !value.is_null())?;
            Some(value.order(parent.0.as_ref()))
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
            if self.next < self.block.page.len() {
                let row = (self.decode)(&self.block, self.next);
                self.next += 1;
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
        self.show(Page::default());
    }
}
