//! Running a job natively, on tables written down in a test.
//!
//! ```
//! use mendwright_sdk::prelude::*;
//!
//! #[derive(Row)]
//! #[row(table = "invoices")]
//! struct Invoice {
//!     #[row(key)]
//!     id: i64,
//!     #[row(write)]
//!     total: Option<Decimal>,
//! }
//!
//! # /*
//! #[job]
//! # */
//! # #[job(manifest = "tests/job.toml")]
//! fn repair(run: &Run) -> Result {
//!     for invoice in run.scan::<Invoice>().is_null(Invoice::TOTAL) {
//!         run.update(invoice?.set_total(Decimal::ZERO).because("there was no total"))?;
//!     }
//!     Ok(())
//! }
//!
//! let outcome = mendwright_sdk::testing::tables()
//!     .with("invoices", "id | total
//!                         6 | ∅
//!                         7 | 1.98")
//!     .run::<ThisJob>("{}");
//! assert_eq!(outcome.updates, ["invoices 6 total=0"]);
//! assert_eq!(outcome.reasons, ["invoices 6: there was no total"]);
//! assert!(outcome.tables.run::<ThisJob>("{}").changes.is_empty(), "after it, there is nothing to do");
//! ```
//!
//! The tables follow the contract as the host does: pages of 1,000 rows, own changes visible, NULL
//! first, a total order, batches accepted or refused as a whole, nothing that the manifest does not
//! request. What only a database knows (its constraints and triggers) they do not know.
//!
//! # How tables are written
//! The first line names the columns, each other line is a row; cells stand between `|` and spaces around
//! them do not count. `∅` or `NULL` is NULL; `"…"` is the text between the quotes as it is. A column's
//! kind is that of the [`Row`](crate::Row) field that reads it, or is inferred from its values, or is
//! said: `total:decimal(10,2) USD`, `note:text`. The key is what is marked (`id*`), else the `Row`'s,
//! else `id`; a table with none of these can be read only.

pub(crate) mod backend;
mod cursor;
mod outcome;
mod page;
mod schema;
mod table;
mod text;

use std::collections::BTreeMap;

pub use outcome::{Action, Changed, Outcome};
pub use schema::schema_is_current;

use crate::contract::{Compensation, Failure, Planned};
use crate::job::{self, Repair};
use crate::time::Timestamp;
use backend::Backend;
use table::Table;

/// Tables for one run, and who and when it is.
#[derive(Clone, Debug)]
#[must_use = "tables do nothing until a job is run on them"]
pub struct Tables {
    tables: BTreeMap<String, Table>,
    tenant: String,
    now_us: i64,
    seed: u64,
}

/// No tables yet: add them with [`Tables::with`].
pub fn tables() -> Tables {
    // 2026-11-20 03:12:09 UTC: any fixed instant will do.
    Tables { tables: BTreeMap::new(), tenant: "Germany".to_owned(), now_us: 1_795_144_329_000_000, seed: 42 }
}

impl Tables {
    /// Binds a table; see the [module](self) on how it is written.
    ///
    /// # Panics
    /// If the text is no table: a test should say so at once.
    pub fn with(mut self, name: &str, text: &str) -> Self {
        self.tables.insert(name.to_owned(), Table::new(name, text::parse(name, text)));
        self
    }

    /// The tenant's name.
    pub fn tenant(mut self, name: &str) -> Self {
        name.clone_into(&mut self.tenant);
        self
    }

    /// The frozen time.
    ///
    /// # Panics
    /// If the timestamp is no date in UTC.
    pub fn at(mut self, now: &Timestamp) -> Self {
        self.now_us = now.to_unix_us().unwrap_or_else(|| panic!("`{now}` is no date in UTC"));
        self
    }

    /// The seed of `run.random()`.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs the job's one function with these parameters (JSON).
    #[must_use]
    pub fn run<J: Repair>(&self, params: &str) -> Outcome {
        let (result, backend) = self.within::<J, _>(params, job::execute::<J>);
        Outcome::new(result, backend, self)
    }

    /// Runs the job's `verify` on these rows.
    #[must_use]
    pub fn verify<J: Repair>(&self, changed: &[Planned]) -> Outcome {
        let (result, backend) = self.within::<J, _>("{}", || job::verify::<J>(changed));
        Outcome::new(result, backend, self)
    }

    /// Runs the job's `rollback` on these rows.
    ///
    /// # Errors
    /// What the job says.
    pub fn rollback<J: Repair>(&self, changed: &[Planned]) -> Result<(Compensation, Outcome), Failure> {
        let (result, backend) = self.within::<J, _>("{}", || job::rollback::<J>(changed));
        Ok((result?, Outcome::new(Ok(String::new()), backend, self)))
    }

    fn within<J: Repair, T>(&self, params: &str, work: impl FnOnce() -> T) -> (T, Backend) {
        let backend = Backend::new(J::MANIFEST, self, params);
        crate::host::with_backend(backend, work)
    }
}
