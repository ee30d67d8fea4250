//! Invoices and their lines, in as many forms as benches read them: SQL, tables in memory, and the text
//! of the SDK's native tables. The same rows in each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;

use mendwright_core::authority::{Allow, Authority, Grant, Request, decide};
use mendwright_core::binding::{Column, Resource, Tenancy};
use mendwright_core::change::Action;
use mendwright_core::class::Class;
use mendwright_core::decimal::Decimal;
use mendwright_core::kind::Kind;
use mendwright_core::value::Value;
use mendwright_gateway::Engine;

use super::database::series;
use super::rows::RowTables;

/// Prices go from one cent to this many.
const CENT_CYCLE: usize = 400;

/// The tables as `mendwright.toml` binds them, with a grant for `reconcile_invoices`.
pub const BINDINGS: &str = r#"
[resource.invoices]
adapter = "sql"
database = "bench"
table = "invoice"
key = ["id"]
tenant = { column = "tenant" }
[resource.invoices.columns]
id = "id"
tenant = "tenant"
total = { column = "total", type = "decimal(12,2)", currency = "USD" }

[resource.invoice_lines]
adapter = "sql"
database = "bench"
table = "line"
key = ["id"]
tenant = { through = "invoices", on = { invoice_id = "id" } }
[resource.invoice_lines.columns]
id = "id"
invoice_id = "invoice_id"
track = "track"
unit_price = { column = "unit_price", type = "decimal(12,2)", currency = "USD" }
quantity = { column = "quantity", type = "integer" }

[grant.reconcile]
job = "reconcile_invoices@^1"
tenants = ["acme", "nobody"]
allow.invoices = { read = ["id", "total"], write = ["total"], operations = ["update"] }
allow.invoice_lines = { read = ["id", "invoice_id", "track", "unit_price", "quantity"] }
"#;

/// How many invoices, how many lines each has, and how many of the totals are wrong.
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    /// Invoices.
    pub invoices: usize,
    /// Lines of each.
    pub lines: usize,
    /// Each so many invoices one has a wrong total.
    pub wrong_each: usize,
}

impl Ledger {
    /// Statements that make the tables and fill them.
    #[must_use]
    pub fn sql(&self, engine: Engine) -> String {
        let Self { invoices, lines, wrong_each } = *self;
        let (one, two) = (series(engine, invoices * lines), series(engine, invoices));
        format!(
            "CREATE TABLE invoice (id INTEGER NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, total NUMERIC(12,2) NOT NULL);
             CREATE TABLE line (id INTEGER NOT NULL PRIMARY KEY, invoice_id INTEGER NOT NULL REFERENCES invoice(id),
               track INTEGER NOT NULL, unit_price NUMERIC(12,2) NOT NULL, quantity INTEGER NOT NULL);
             INSERT INTO invoice SELECT * FROM ({two} SELECT n, 'acme', 0 FROM s) AS s;
             INSERT INTO line SELECT * FROM ({one} SELECT n, (n - 1) / {lines} + 1, n,
               round((n % {CENT_CYCLE} + 1) / 100.0, 2), n % 3 + 1 FROM s) AS s;
             CREATE INDEX line_invoice ON line (invoice_id, id);
             UPDATE invoice SET total = round((SELECT sum(unit_price * quantity) FROM line WHERE invoice_id = invoice.id)
               + CASE WHEN id % {wrong_each} = 0 THEN 1 ELSE 0 END, 2);"
        )
    }

    /// How many invoices a reconciliation changes.
    #[must_use]
    pub const fn wrong(&self) -> usize {
        self.invoices / self.wrong_each
    }

    /// `cents`, invoice by invoice, with each one's lines: id, cents of a piece, pieces.
    fn books(&self) -> impl Iterator<Item = (usize, usize, Vec<(usize, usize, usize)>)> {
        let Self { invoices, lines, wrong_each } = *self;
        (1..=invoices).map(move |invoice| {
            let first = (invoice - 1) * lines + 1;
            let of: Vec<_> = (first..first + lines).map(|n| (n, n % CENT_CYCLE + 1, n % 3 + 1)).collect();
            let sum: usize = of.iter().map(|(_, cents, pieces)| cents * pieces).sum();
            (invoice, sum + if invoice.is_multiple_of(wrong_each) { 100 } else { 0 }, of)
        })
    }

    /// The rows as tables in memory.
    ///
    /// # Errors
    /// Never for numbers that fit.
    pub fn rows(&self) -> Result<RowTables> {
        let int = |n: usize| Ok::<_, anyhow::Error>(Value::Integer(i64::try_from(n)?));
        let (mut invoices, mut lines) = (Vec::new(), Vec::new());
        for (invoice, total, of) in self.books() {
            invoices.push(vec![int(invoice)?, Value::Decimal(money(total).parse::<Decimal>()?)]);
            for (line, cents, pieces) in of {
                let price = Value::Decimal(money(cents).parse()?);
                lines.push(vec![int(line)?, int(invoice)?, int(line)?, price, int(pieces)?]);
            }
        }
        let decimal = Kind::Decimal(Some((12, 2)));
        let whole = Kind::Integer;
        let line =
            [("id", whole), ("invoice_id", whole), ("track", whole), ("unit_price", decimal), ("quantity", whole)];
        Ok(RowTables::default().with("invoices", &[("id", whole), ("total", decimal)], invoices).with(
            "invoice_lines",
            &line,
            lines,
        ))
    }

    /// The rows as the SDK's native tables are written: invoices, then lines.
    #[must_use]
    pub fn text(&self) -> (String, String) {
        let mut invoices = "id*:integer | total:decimal(12,2) USD\n".to_owned();
        let mut lines =
            "id*:integer | invoice_id:integer | track:integer | unit_price:decimal(12,2) USD | quantity:integer\n"
                .to_owned();
        for (invoice, total, of) in self.books() {
            let _ = writeln!(invoices, "{invoice} | {}", money(total));
            for (line, cents, pieces) in of {
                let _ = writeln!(lines, "{line} | {invoice} | {line} | {} | {pieces}", money(cents));
            }
        }
        (invoices, lines)
    }
}

fn money(cents: usize) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What [`BINDINGS`] says of the tables.
#[must_use]
pub fn resources() -> BTreeMap<String, Resource> {
    let decimal = Some(Kind::Decimal(Some((12, 2))));
    let resource = |name: &str, table: &str, tenancy, columns: &[(&str, Option<Kind>)]| Resource {
        name: name.to_owned(),
        database: "bench".into(),
        schema: None,
        table: table.to_owned(),
        key: vec!["id".into()],
        tenancy,
        class: Class::Ordinary,
        module: None,
        columns: columns
            .iter()
            .map(|(name, kind)| {
                ((*name).to_owned(), Column { column: (*name).to_owned(), kind: *kind, ..Column::default() })
            })
            .collect(),
        triggers: BTreeMap::new(),
        cascades: BTreeSet::new(),
        stable_reads: None,
        guest_keys: false,
    };
    let through =
        Tenancy::Through { resource: "invoices".into(), on: [("invoice_id".to_owned(), "id".to_owned())].into() };
    let invoice = [("id", None), ("tenant", None), ("total", decimal)];
    let line = [
        ("id", None),
        ("invoice_id", None),
        ("track", None),
        ("unit_price", decimal),
        ("quantity", Some(Kind::Integer)),
    ];
    [
        ("invoices".to_owned(), resource("invoices", "invoice", Tenancy::Column("tenant".into()), &invoice)),
        ("invoice_lines".to_owned(), resource("invoice_lines", "line", through, &line)),
    ]
    .into()
}

/// What [`BINDINGS`] grants of what the job requests.
///
/// # Errors
/// Never.
pub fn authority() -> Result<Authority> {
    let invoices = Request {
        read: set(&["id", "total"]),
        write: set(&["total"]),
        operations: [Action::Update].into(),
        ..Request::default()
    };
    let lines = Request { read: set(&["id", "invoice_id", "track", "unit_price", "quantity"]), ..Request::default() };
    let payments = Request { optional: true, read: set(&["invoice_id", "amount"]), ..Request::default() };
    let allow = |request: &Request| Allow {
        read: request.read.clone(),
        write: request.write.clone(),
        operations: request.operations.clone(),
    };
    let grant = Grant {
        name: "reconcile".into(),
        bind: BTreeMap::new(),
        allow: [("invoices".to_owned(), allow(&invoices)), ("invoice_lines".to_owned(), allow(&lines))].into(),
    };
    let requests =
        [("invoices".to_owned(), invoices), ("invoice_lines".to_owned(), lines), ("payments".to_owned(), payments)];
    Ok(decide(&requests.into(), &[grant])?)
}
