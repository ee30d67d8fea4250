//! `table-writes`: saying which rows should be different.

use mendwright_core::port::Refusal;
use wasmtime::component::Linker;

use super::{State, link_fn};
use crate::bindings::mendwright::repair::table_writes::{Change, Removal};
use crate::convert;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("mendwright:repair/table-writes@0.1.0")?;
    link_fn!(instance, "insert", |state, table: String, rows: Vec<Change>| {
        let result = state.insert(&table, rows).await;
        state.answer(result)
    });
    link_fn!(instance, "update", |state, table: String, rows: Vec<Change>| {
        let result = state.update(&table, rows).await;
        state.answer(result)
    });
    link_fn!(instance, "delete", |state, table: String, rows: Vec<Removal>| {
        let result = state.delete(&table, rows).await;
        state.answer(result)
    });
    Ok(())
}

impl State {
    async fn insert(&mut self, table: &str, rows: Vec<Change>) -> Result<(), Refusal> {
        self.still_open()?;
        let rows = rows.into_iter().map(convert::change).collect::<Result<_, _>>()?;
        self.tables.insert(table, rows).await
    }

    async fn update(&mut self, table: &str, rows: Vec<Change>) -> Result<(), Refusal> {
        self.still_open()?;
        let rows = rows.into_iter().map(convert::change).collect::<Result<_, _>>()?;
        self.tables.update(table, rows).await
    }

    async fn delete(&mut self, table: &str, rows: Vec<Removal>) -> Result<(), Refusal> {
        self.still_open()?;
        let rows = rows.into_iter().map(convert::removal).collect::<Result<_, _>>()?;
        self.tables.delete(table, rows).await
    }
}
