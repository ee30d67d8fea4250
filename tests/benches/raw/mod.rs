//! A host of the contract as one would write it with wasmtime and nothing else.

use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// A scan's place among the rows.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Cursor;

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]

    wasmtime::component::bindgen!({
        path: "../wit/repair@0.1.0",
        world: "repair-job",
        imports: { default: async },
        exports: { default: async },
        with: { "mendwright:repair/tables.cursor": super::Cursor },
    });
}

use bindings::mendwright::repair::tables::{ColumnValues, Decimals, Found, Page, Vector};
use bindings::mendwright::repair::types::{Detail, Error};
use bindings::mendwright::repair::{run, table_writes, tables, types};
use bindings::{RepairJob, RepairJobPre};

/// An engine, and one component ready to be instantiated.
pub(crate) struct Host {
    engine: Engine,
    job: RepairJobPre<Rows>,
}

/// A table: its name, its columns with their kinds, and their values.
type Table = (&'static str, Vec<(&'static str, &'static str)>, Vec<Vector>);

/// Tables in a vector.
pub(crate) struct Rows {
    tables: Vec<Table>,
    open: Vec<(usize, Vec<usize>, bool)>,
    changed: usize,
    wasi: WasiCtx,
    resources: ResourceTable,
}

impl Host {
    pub(crate) fn new(wasm: &[u8]) -> Result<Self> {
        // The sandbox's pool, number for number.
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(32)
            .total_core_instances(32 * 40)
            .total_memories(32 * 4)
            .total_tables(32 * 40)
            .total_stacks(32)
            .max_core_instances_per_component(40)
            .max_memories_per_component(4)
            .max_tables_per_component(40)
            .table_elements(100_000)
            .max_component_instance_size(4 << 20)
            .max_core_instance_size(4 << 20)
            .linear_memory_keep_resident(1 << 20)
            .max_memory_size(512 << 20);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        RepairJob::add_to_linker::<_, HasSelf<Rows>>(&mut linker, |rows| rows)?;
        let component = Component::from_binary(&engine, wasm)?;
        let job = RepairJobPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, job })
    }

    /// How many rows the job asked to change.
    pub(crate) async fn dry_run(&self, rows: Rows) -> Result<usize> {
        let mut store = Store::new(&self.engine, rows);
        let job = self.job.instantiate_async(&mut store).await?;
        match job.call_dry_run(&mut store).await? {
            Ok(_summary) => Ok(store.data().changed),
            Err(failure) => Err(wasmtime::Error::msg(failure.message)),
        }
    }
}

impl Rows {
    pub(crate) fn one_wrong() -> Self {
        let decimal =
            |cents| Vector::Decimal(Decimals { coefficients: vec![cents], scales: vec![2], digits: Vec::new() });
        let integer = |number| Vector::Integer(vec![number]);
        let invoice = vec![integer(1), decimal(104)];
        let line = vec![integer(1), integer(1), integer(1), decimal(2), integer(2)];
        let columns = vec![
            ("id", "integer"),
            ("invoice_id", "integer"),
            ("track", "integer"),
            ("unit_price", "decimal"),
            ("quantity", "integer"),
        ];
        Self {
            tables: vec![
                ("invoices", vec![("id", "integer"), ("total", "decimal")], invoice),
                ("invoice_lines", columns, line),
            ],
            open: Vec::new(),
            changed: 0,
            wasi: WasiCtx::builder().build(),
            resources: ResourceTable::new(),
        }
    }

    fn place(&self, table: &str) -> std::result::Result<usize, Error> {
        let missing = || Detail { code: "ERR_TABLE_DENIED".to_owned(), message: "no such table".to_owned() };
        self.tables.iter().position(|(name, ..)| *name == table).ok_or_else(|| Error::NotFound(missing()))
    }
}

impl WasiView for Rows {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl types::Host for Rows {}

impl run::Host for Rows {
    async fn who(&mut self) -> run::Identity {
        let text = |text: &str| text.to_owned();
        run::Identity {
            run: text("run_1"),
            tenant: text("acme"),
            job: text("reconcile_invoices"),
            version: text("1.0.0"),
            now_us: 1_795_150_800_123_456,
        }
    }

    async fn params(&mut self) -> String {
        "{}".to_owned()
    }

    async fn random(&mut self) -> u64 {
        4
    }

    async fn log(&mut self, _level: run::Level, _message: String) -> std::result::Result<(), Error> {
        Ok(())
    }

    async fn progress(&mut self, _done: u64, _total: u64) {}

    async fn report_finding(&mut self, _finding: run::Finding) -> std::result::Result<(), Error> {
        Ok(())
    }

    async fn report_check(&mut self, _check: run::Check) -> std::result::Result<(), Error> {
        Ok(())
    }
}

impl tables::HostCursor for Rows {
    async fn next_page(&mut self, cursor: Resource<Cursor>) -> std::result::Result<Page, Error> {
        let end = Page { n_rows: 0, columns: Vec::new() };
        let Some((table, places, at_end)) = self.open.get_mut(cursor.rep() as usize) else { return Ok(end) };
        if std::mem::replace(at_end, true) {
            return Ok(end);
        }
        let all = self.tables.get(*table).map(|(_, _, columns)| columns.as_slice()).unwrap_or_default();
        let column = |at: &usize| Some(ColumnValues { nulls: Vec::new(), values: all.get(*at)?.clone() });
        Ok(Page { n_rows: 1, columns: places.iter().filter_map(column).collect() })
    }

    async fn drop(&mut self, _cursor: Resource<Cursor>) -> Result<()> {
        Ok(())
    }
}

impl tables::Host for Rows {
    async fn describe(&mut self, table: String) -> std::result::Result<Vec<tables::Column>, Error> {
        let place = self.place(&table)?;
        let columns = self.tables.get(place).map(|(_, columns, _)| columns.as_slice()).unwrap_or_default();
        let column = |(at, (name, kind)): (usize, &(&str, &str))| tables::Column {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            scale: (*kind == "decimal").then_some(2),
            currency: (*kind == "decimal").then(|| "USD".to_owned()),
            nullable: false,
            key: at == 0,
            writable: at > 0,
        };
        Ok(columns.iter().enumerate().map(column).collect())
    }

    async fn get(
        &mut self,
        _table: String,
        keys: Vec<Vec<types::Value>>,
        _columns: Vec<String>,
    ) -> std::result::Result<Found, Error> {
        let rows = Page { n_rows: 0, columns: Vec::new() };
        Ok(Found { present: keys.iter().map(|_| false).collect(), rows })
    }

    async fn scan(&mut self, query: tables::Query) -> std::result::Result<Resource<Cursor>, Error> {
        let table = self.place(&query.table)?;
        let columns = self.tables.get(table).map(|(_, columns, _)| columns.as_slice()).unwrap_or_default();
        let place = |name: &String| columns.iter().position(|(own, _)| own == name);
        let places = query.columns.iter().filter_map(place).collect();
        self.open.push((table, places, false));
        Ok(Resource::new_own(u32::try_from(self.open.len() - 1).unwrap_or(0)))
    }
}

impl table_writes::Host for Rows {
    async fn insert(&mut self, _: String, rows: Vec<table_writes::Change>) -> std::result::Result<(), Error> {
        self.changed += rows.len();
        Ok(())
    }

    async fn update(&mut self, _: String, rows: Vec<table_writes::Change>) -> std::result::Result<(), Error> {
        self.changed += rows.len();
        Ok(())
    }

    async fn delete(&mut self, _: String, rows: Vec<table_writes::Removal>) -> std::result::Result<(), Error> {
        self.changed += rows.len();
        Ok(())
    }
}
