//! The macros of `mendwright-sdk`; their documentation is read there.
//!
//! **Invariant**: what they write names only `::mendwright_sdk`, so that a job depends on nothing else.

mod job;
mod manifest;
mod params;
mod row;

use proc_macro::TokenStream;

/// Makes a struct whose fields are columns of one table.
///
/// - `#[row(table = "invoices")]` on the struct: the table, as the manifest calls it;
/// - `#[row(key)]` on a field: part of the key; fields of a key stand in the key's order;
/// - `#[row(write)]`: the job may change it; makes `set_<field>`;
/// - `#[row(column = "paid_on")]`: the column's name where the field's is another;
/// - `Option<T>`: the column can be NULL.
///
/// Each field becomes a constant in upper case (`Invoice::TOTAL`) for filters, orders and joins.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    row::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a repair job of a function `fn(run: &Run) -> Result` or `fn(run: &Run, params: P) -> Result`.
///
/// It becomes `ThisJob`, which implements `Repair`, and on wasm32 the component's exports: `dry-run`
/// and `apply` are this function, `rollback` lets the host restore, `verify` finds nothing. Others:
/// `#[job(verify = look, rollback = undo)]` with `fn look(run: &Run, changed: &[Planned]) -> Result`
/// and `fn undo(run: &Run, changed: &[Planned]) -> Result<Compensation>`.
///
/// `job.toml` beside `Cargo.toml` is read when the job is compiled: findings get their severity from
/// it, and tests refuse what it does not request. `#[job(manifest = "path")]` names another file.
///
/// Where the job has parameters, a test keeps `params.schema.json` beside the manifest equal to them;
/// `MENDWRIGHT_UPDATE_SCHEMA=1 cargo test` writes it.
#[proc_macro_attribute]
pub fn job(arguments: TokenStream, item: TokenStream) -> TokenStream {
    job::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct or an enum readable as a job's parameters: unknown names are refused, and natively it
/// has a JSON Schema, with the documentation comments as descriptions. `#[serde(…)]` works as usual.
#[proc_macro_attribute]
pub fn params(_: TokenStream, item: TokenStream) -> TokenStream {
    params::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
