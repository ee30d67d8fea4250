//! The run: what a job reads, changes and reports through.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::change::{Change, Removal, Update};
use crate::contract::{Check, Finding, Identity, Level, Value};
use crate::dynamic::{Block, DynRow, Shape};
use crate::error::{Error, Result};
use crate::host;
use crate::manifest::Manifest;
use crate::page::RowRef;
use crate::row::{KeyValue, Keyed, Located, Row};
use crate::scan::{Decode, Scan};
use crate::table::Table;
use crate::time::Timestamp;
use crate::writes::Writes;

/// Keys in one call to the host; the contract's limit.
const KEYS_MAX: usize = 1_000;

/// One execution of a job for one tenant. Everything a job does goes through it, and nothing it does is
/// more than a proposal: what is left of the changes when the job returns is the plan.
pub struct Run {
    manifest: &'static Manifest,
    identity: OnceCell<Identity>,
    writes: RefCell<Writes>,
    tables: RefCell<BTreeMap<String, Option<Rc<Table>>>>,
    summary: RefCell<String>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("job", &self.manifest.name).finish_non_exhaustive()
    }
}

/// Who and what.
impl Run {
    pub(crate) fn new(manifest: &'static Manifest) -> Self {
        Self {
            manifest,
            identity: OnceCell::new(),
            writes: RefCell::default(),
            tables: RefCell::default(),
            summary: RefCell::default(),
        }
    }

    fn identity(&self) -> &Identity {
        self.identity.get_or_init(host::who)
    }

    /// The run's id, for example `run_018f…`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.identity().run
    }

    /// Whose data this is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.identity().tenant
    }

    /// The frozen time: the same in the dry run and in each apply of its plan.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_us(self.now_us())
    }

    /// The frozen time in microseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.identity().now_us
    }

    /// Sixty-four random bits: the same sequence in each execution of one plan.
    #[must_use]
    pub fn random(&self) -> u64 {
        host::random()
    }

    /// The run's parameters, for `verify` and `rollback`; the repair itself gets them as its argument.
    ///
    /// # Errors
    /// A failure `PARAMS_INVALID`.
    pub fn params<P: serde::de::DeserializeOwned>(&self) -> Result<P> {
        let unfit = |e: serde_json::Error| Error::failure("PARAMS_INVALID", format!("the parameters do not fit: {e}"));
        serde_json::from_str(&host::params()).map_err(unfit)
    }

    /// One sentence for the operator, shown above the plan. The last one counts.
    pub fn summary(&self, sentence: impl Into<String>) {
        *self.summary.borrow_mut() = sentence.into();
    }

    pub(crate) fn take_summary(&self) -> String {
        self.summary.take()
    }
}

/// Reading.
impl Run {
    /// The rows of `R`'s table.
    pub fn scan<R: Row>(&self) -> Scan<'_, R> {
        host::note_row::<R>();
        Scan::new(self, typed::<R>(), |block, row| R::decode(RowRef::new(&block.page, row)))
    }

    /// The row with this key.
    ///
    /// # Errors
    /// What the host says.
    pub fn get<R: Keyed>(&self, key: R::Key) -> Result<Option<R>> {
        Ok(self.get_many::<R>([key])?.into_iter().flatten().next())
    }

    /// The rows with these keys, each at the place of its key.
    ///
    /// # Errors
    /// What the host says.
    pub fn get_many<R: Keyed>(&self, keys: impl IntoIterator<Item = R::Key>) -> Result<Vec<Option<R>>> {
        host::note_row::<R>();
        let keys: Vec<_> = keys.into_iter().map(KeyValue::into_values).collect();
        self.get_with(typed::<R>(), &keys, |block, row| R::decode(RowRef::new(&block.page, row)))
    }

    /// The rows of a table known only now, with these columns and its key's.
    ///
    /// # Errors
    /// What the host says of the table; `not-found` where an optional one is not bound.
    pub fn scan_table(&self, table: &str, columns: &[&str]) -> Result<Scan<'_, DynRow>> {
        Ok(Scan::new(self, self.shape(table, columns)?, |block, row| Ok(DynRow::new(block, row))))
    }

    /// The rows with these keys of a table known only now, each at the place of its key.
    ///
    /// # Errors
    /// What the host says.
    pub fn get_rows(&self, table: &str, keys: &[Vec<Value>], columns: &[&str]) -> Result<Vec<Option<DynRow>>> {
        self.get_with(self.shape(table, columns)?, keys, |block, row| Ok(DynRow::new(block, row)))
    }

    fn get_with<R>(&self, shape: Rc<Shape>, keys: &[Vec<Value>], decode: Decode<R>) -> Result<Vec<Option<R>>> {
        self.flush()?;
        let mut rows = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_MAX) {
            let found = host::get(&shape.table, keys, &shape.columns)?;
            let (block, mut next) = (Rc::new(Block { shape: Rc::clone(&shape), page: found.rows }), 0..);
            for present in found.present {
                let row = present.then(|| next.next()).flatten();
                rows.push(row.map(|row| decode(&block, row)).transpose()?);
            }
        }
        Ok(rows)
    }

    fn shape(&self, table: &str, columns: &[&str]) -> Result<Rc<Shape>> {
        let described = self.described(table)?;
        let mut names: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let mut key = Vec::new();
        for column in described.key() {
            let place = names.iter().position(|name| *name == column.name).unwrap_or_else(|| {
                names.push(column.name.clone());
                names.len() - 1
            });
            key.push(place);
        }
        Ok(Rc::new(Shape { table: table.to_owned(), columns: names, key }))
    }

    /// What the host says of a table; none where the operator did not bind it (an optional one).
    ///
    /// # Errors
    /// What the host says, but for `not-found`.
    pub fn describe(&self, table: &str) -> Result<Option<Rc<Table>>> {
        if let Some(known) = self.tables.borrow().get(table) {
            return Ok(known.clone());
        }
        let described = match host::describe(table) {
            Ok(columns) => Some(Rc::new(Table::new(table.to_owned(), columns))),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        self.tables.borrow_mut().insert(table.to_owned(), described.clone());
        Ok(described)
    }

    /// What the host says of a table that must be there.
    ///
    /// # Errors
    /// What the host says; a failure `TABLE_NOT_BOUND` where it is not there.
    pub fn described(&self, table: &str) -> Result<Rc<Table>> {
        let missing = || Error::failure("TABLE_NOT_BOUND", format!("there is no table `{table}` for this job"));
        self.describe(table)?.ok_or_else(missing)
    }
}

/// Changing. Changes are buffered; an error of the host can come from a later call, at the latest when
/// the job returns.
impl Run {
    /// Changes a row: `run.update(invoice.set_total(sum).because("sum of 3 lines"))`.
    ///
    /// # Errors
    /// What the host says of this change or an earlier one; `not-found` if there is no such row.
    pub fn update(&self, change: impl Into<Change>) -> Result {
        self.writes.borrow_mut().update(change.into())
    }

    /// Adds a row: `run.insert(&line)`, `run.insert(line.insertion().because("…"))`.
    ///
    /// # Errors
    /// What the host says of this change or an earlier one; `conflict` if there is such a row.
    pub fn insert(&self, change: impl Into<Change>) -> Result {
        self.writes.borrow_mut().insert(change.into())
    }

    /// Removes a row: `run.delete(&line)`, `run.delete(line.removal().because("…"))`.
    ///
    /// # Errors
    /// What the host says of this change or an earlier one; `not-found` if there is no such row.
    pub fn delete(&self, removal: impl Into<Removal>) -> Result {
        self.writes.borrow_mut().delete(removal.into())
    }

    /// Tells the host of all changes so far. Reading does it too; a job needs it only where it wants to
    /// hear of an error at once.
    ///
    /// # Errors
    /// What the host says of the changes.
    pub fn flush(&self) -> Result {
        self.writes.borrow_mut().flush()
    }

    /// A change of the row with this key, without reading it first.
    pub fn change<R: Keyed>(&self, key: R::Key) -> Update<R> {
        Update::new(key.into_values())
    }
}

/// Reporting.
impl Run {
    /// Reports something about a row that is left for a person. The severity is the manifest's.
    ///
    /// # Errors
    /// `invalid` for a code that the manifest does not list; `budget-exceeded`.
    pub fn finding(&self, code: &str, row: &impl Located, message: impl Into<String>) -> Result {
        self.finding_at(code, row.table(), row.key_values(), message)
    }

    /// Reports something about a whole table.
    ///
    /// # Errors
    /// As [`Run::finding`].
    pub fn finding_table(&self, code: &str, table: &str, message: impl Into<String>) -> Result {
        self.finding_at(code, table, Vec::new(), message)
    }

    /// Reports something about the row with this key, which need not be there.
    ///
    /// # Errors
    /// As [`Run::finding`].
    pub fn finding_at(&self, code: &str, table: &str, key: Vec<Value>, message: impl Into<String>) -> Result {
        host::report_finding(&Finding {
            code: code.to_owned(),
            severity: self.manifest.severity(code),
            table: table.to_owned(),
            key,
            message: message.into(),
        })
    }

    /// Reports an invariant and how it went; shown with the plan.
    ///
    /// # Errors
    /// `budget-exceeded`.
    pub fn check(
        &self,
        name: impl Into<String>,
        passed: bool,
        expected: impl ToString,
        actual: impl ToString,
    ) -> Result {
        host::report_check(&Check {
            name: name.into(),
            passed,
            expected: expected.to_string(),
            actual: actual.to_string(),
        })
    }

    /// Adds a line to the run's log; see also [`crate::debug!`], [`crate::info!`], [`crate::warn!`] and
    /// [`crate::error!`].
    ///
    /// # Errors
    /// `budget-exceeded` once the log is full.
    pub fn log(&self, level: Level, message: impl AsRef<str>) -> Result {
        host::log(level, message.as_ref())
    }

    /// Says how far the job is; a `total` of 0 means unknown.
    pub fn progress(&self, done: u64, total: u64) {
        host::progress(done, total);
    }
}

fn typed<R: Row>() -> Rc<Shape> {
    let columns = R::COLUMNS.iter().map(|column| column.name.to_owned()).collect();
    Rc::new(Shape { table: R::TABLE.to_owned(), columns, key: Vec::new() })
}

macro_rules! log_macro {
    ($dollar:tt $name:ident $level:ident) => {
        /// Adds a line of this level to the run's log: the run, then as for `format!`. Returns a
        /// [`Result`](crate::Result).
        #[macro_export]
        macro_rules! $name {
                            ($dollar run:expr, $dollar($dollar message:tt)+) => {
                                $dollar run.log($crate::Level::$level, ::std::format!($dollar($dollar message)+))
                            };
                        }
    };
}
log_macro!($ debug Debug);
log_macro!($ info Info);
log_macro!($ warn Warn);
log_macro!($ error Error);
