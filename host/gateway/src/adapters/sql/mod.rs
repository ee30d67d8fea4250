//! SQLite and PostgreSQL tables that nobody designed for this.
//!
//! - [`engine`]: what the two spell differently; `raw`: values as they store them;
//!   `sought`: values that a job looks for and a column need not be able to hold;
//! - `connection`: one connection, of either, to a file (`lite`) or a `server`; `pool`: those that wait; `snapshot`: many reads of one state;
//! - `introspect`: what a database says of a table; `check`: whether it can be bound;
//! - `scope`: the SQL that keeps a statement inside one tenant;
//! - `flush`: the one that writes; [`install`]: a target made ready, [`own_tables`]: what we keep in it,
//!   `grants`: the roles;
//! - `overlay`, `computed`: what a run wants, while it goes on and at its end;
//! - [`report`]: what `resource check` tells; [`probe`]: what `doctor` asks; [`import`]: bindings written from a database.

pub(crate) mod check;
pub(crate) mod computed;
pub(crate) mod connection;
pub mod engine;
pub(crate) mod flush;
pub(crate) mod grants;
pub mod import;
pub mod install;
pub(crate) mod introspect;
mod lite;
pub(crate) mod overlay;
pub mod own_tables;
pub(crate) mod pool;
pub mod probe;
pub(crate) mod raw;
pub mod report;
pub(crate) mod scope;
mod server;
pub(crate) mod session;
pub(crate) mod snapshot;
pub(crate) mod sought;
mod watch;
