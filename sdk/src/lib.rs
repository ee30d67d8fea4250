//! What the author of a repair job depends on.
//!
//! A job is one function that looks at a tenant's rows and says which of them should be different. It
//! never writes: the host collects what it says, shows it to people as a plan, and makes exactly these
//! changes itself once they are approved. So the same function runs for the dry run and for the apply,
//! and a repair needs no code for either, nor for undoing.
//!
//! ```
//! //! Makes every invoice's total the sum of its lines.
//! use mendwright_sdk::prelude::*;
//!
//! #[derive(Row)]
//! #[row(table = "invoices")]
//! struct Invoice {
//!     #[row(key)]
//!     id: i64,
//!     #[row(write)]
//!     total: Decimal,
//! }
//!
//! #[derive(Row)]
//! #[row(table = "invoice_lines")]
//! struct Line {
//!     invoice_id: i64,
//!     unit_price: Decimal,
//!     quantity: Decimal,
//! }
//!
//! # /*
//! #[job]
//! # */
//! # #[job(manifest = "tests/job.toml")]
//! fn repair(run: &Run) -> Result {
//!     for found in run.scan::<Invoice>().with(Line::INVOICE_ID) {
//!         let (invoice, lines) = found?;
//!         let sum: Decimal = lines.iter().map(|line| line.unit_price * line.quantity).sum();
//!         if lines.is_empty() {
//!             run.finding("invoice_without_lines", &invoice, "no line to sum")?;
//!         } else if invoice.total != sum {
//!             run.update(invoice.set_total(sum).because(format!("sum of {} lines", lines.len())))?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! // and its test:
//! let outcome = mendwright_sdk::testing::tables()
//!     .with("invoices", "id | total
//!                         6 | 9.90
//!                       321 | 0.99")
//!     .with("invoice_lines", "invoice_id | unit_price | quantity
//!                              6 | 0.99 | 1")
//!     .run::<ThisJob>("{}");
//! assert_eq!(outcome.updates, ["invoices 6 total=0.99"]);
//! assert_eq!(outcome.findings, ["invoice_without_lines invoices 321"]);
//! ```
//!
//! In reading order:
//! - [`macro@job`], [`job::Repair`]: the one function; [`macro@params`]: its parameters;
//! - [`Run`]: what it reads, changes and reports through; [`Scan`], [`join`]: reading without end;
//! - [`macro@Row`], [`row`]: typed rows; [`DynRow`]: rows of tables known only when it runs;
//! - [`change`]: changes with their reasons; [`value`], [`decimal`], [`Timestamp`], [`Json`]: values;
//! - [`Error`]: the host's refusals and the job's own failures;
//! - [`testing`]: running a job natively on tables written down in a test.
//!
//! **Invariant**: a component imports only the host calls that its job can reach.

extern crate self as mendwright_sdk;

pub mod change;
pub mod contract;
pub mod decimal;
mod dynamic;
mod error;
mod exact;
mod host;
pub mod job;
pub mod join;
pub mod manifest;
mod page;
pub mod row;
mod run;
mod scan;
mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod time;
pub mod value;
mod value_ref;
mod writes;

pub use contract::{ColumnInfo, Comparison, Compensation, Failure, Level, Planned, Severity, Value};
pub use dynamic::{ColumnIndex, DynRow};
pub use error::{Error, Result};
pub use mendwright_sdk_derive::{Row, job, params};
pub use page::RowRef;
pub use row::Row;
pub use run::Run;
pub use rust_decimal::Decimal;
pub use scan::Scan;
pub use serde;
pub use table::Table;
pub use time::{Json, Timestamp};
pub use value::{DecimalRef, ValueRef};

/// What almost every job uses.
pub mod prelude {
    pub use crate::change::{Change, Removal};
    pub use crate::contract::{Comparison, Compensation, Level, Planned, Value};
    pub use crate::decimal::{DecimalExt as _, Rounding};
    pub use crate::row::{Keyed as _, Row as _};
    pub use crate::{Decimal, DynRow, Error, Json, Result, Row, Run, Timestamp, ValueRef, fail, job, params};
}

/// What the macros expand to; no part of the interface.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::host::wasm::{Export, bindings};
    #[cfg(not(target_arch = "wasm32"))]
    pub use schemars;
    #[cfg(not(target_arch = "wasm32"))]
    pub use serde_json;
    #[cfg(target_arch = "wasm32")]
    pub use wit_bindgen;
}
