//! `tables`: reading rows of the tenant.

use mendwright_core::budget::Metric;
use mendwright_core::code::Code;
use mendwright_core::page::Page;
use mendwright_core::port::{Comparison, CursorId, Query, Refusal, RefusalKind, Row};
use wasmtime::component::{Linker, Resource, ResourceType};

use super::{State, enter, link_fn};
use crate::bindings::mendwright::repair::{tables, types};
use crate::{convert, page};

/// Keys in one `get` and values of one `is-in`, as the contract says.
const LIST_MAX: usize = 1_000;

/// The guest's handle of an open scan. The handle's number is the scan's [`CursorId`]; wasmtime lets
/// no guest use a number that it was not given.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Cursor;

type Keys = Vec<Vec<types::Value>>;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("mendwright:repair/tables@0.1.0")?;
    instance.resource_async("cursor", ResourceType::host::<Cursor>(), |mut caller, number| {
        Box::new(async move {
            enter(&mut caller)?;
            caller.data_mut().close(CursorId(number));
            Ok(())
        })
    })?;
    link_fn!(instance, "describe", |state, table: String| {
        let result = state.describe(&table).await;
        state.answer(result)
    });
    link_fn!(instance, "get", |state, table: String, keys: Keys, columns: Vec<String>| {
        let result = state.get(&table, keys, columns).await;
        state.answer(result)
    });
    link_fn!(instance, "scan", |state, query: tables::Query| {
        let result = state.scan(query).await;
        state.answer(result)
    });
    link_fn!(instance, "[method]cursor.next-page", |state, cursor: Resource<Cursor>| {
        let result = state.next_page(CursorId(cursor.rep())).await;
        state.answer(result)
    });
    Ok(())
}

fn too_many(what: &str, n: usize) -> Refusal {
    Refusal::new(
        RefusalKind::Invalid,
        Code::CallInvalid,
        format!("{what} takes at most {LIST_MAX} at a time, and the job gave {n}"),
    )
}

impl State {
    async fn describe(&mut self, table: &str) -> Result<Vec<tables::Column>, Refusal> {
        self.still_open()?;
        let columns = self.tables.describe(table).await?;
        Ok(columns.into_iter().map(convert::column_to_guest).collect())
    }

    async fn get(&mut self, table: &str, keys: Keys, columns: Vec<String>) -> Result<tables::Found, Refusal> {
        self.still_open()?;
        if keys.len() > LIST_MAX {
            return Err(too_many("`get`", keys.len()));
        }
        let keys = keys.into_iter().map(convert::key).collect::<Result<_, _>>()?;
        let rows = self.tables.get(table, keys, columns).await?;
        let present = rows.iter().map(Option::is_some).collect();
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        Ok(tables::Found { present, rows: page::to_guest(Page::of(&rows)?) })
    }

    async fn scan(&mut self, query: tables::Query) -> Result<Resource<Cursor>, Refusal> {
        self.still_open()?;
        let query = convert::query(query)?;
        check_filters(&query)?;
        // Counted here and not on the meter: the adapter counts the scans that it really holds open.
        if self.cursors_open >= self.meter.budget().limit(Metric::Cursors) {
            return Err(self.meter.spent(Metric::Cursors));
        }
        let CursorId(number) = self.tables.scan(query).await?;
        self.cursors_open += 1;
        Ok(Resource::new_own(number))
    }

    async fn next_page(&mut self, cursor: CursorId) -> Result<tables::Page, Refusal> {
        self.still_open()?;
        Ok(page::to_guest(self.tables.next_columns(cursor).await?))
    }

    fn close(&mut self, cursor: CursorId) {
        self.cursors_open = self.cursors_open.saturating_sub(1);
        self.tables.close(cursor);
    }
}

fn check_filters(query: &Query) -> Result<(), Refusal> {
    for filter in &query.filters {
        let n = filter.values.len();
        let fits = match filter.op {
            Comparison::Eq | Comparison::Lt | Comparison::Le | Comparison::Gt | Comparison::Ge => n == 1,
            Comparison::IsNull => n == 0,
            Comparison::IsIn if n > LIST_MAX => return Err(too_many("`is-in`", n)),
            Comparison::IsIn => true,
        };
        if !fits {
            return Err(Refusal::new(
                RefusalKind::Invalid,
                Code::CallInvalid,
                format!("a filter has {n} values: `is-null` takes none, `is-in` any number, every other one takes one"),
            ));
        }
    }
    Ok(())
}
