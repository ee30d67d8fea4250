//! What the operator bound: which optional columns there are, and what money is kept in.

use std::rc::Rc;

use mendwright_sdk::decimal::minor_unit;
use mendwright_sdk::join::Groups;
use mendwright_sdk::prelude::*;
use mendwright_sdk::value::Ordered;
use mendwright_sdk::{ColumnInfo, Table};

/// Rows that belong to invoices, taken invoice by invoice.
pub(crate) type Rows<'r> = Groups<'r, DynRow, Ordered>;

/// The tables as this run may use them.
pub(crate) struct Bound {
    invoices: Rc<Table>,
    lines: Rc<Table>,
    payments: Option<Rc<Table>>,
    /// Where a line's columns stand. To look for them in each line would cost a tenth of the whole run.
    pub(crate) line: LinePlaces,
}

/// Columns that every line has.
const LINE_COLUMNS: [&str; 5] = ["id", "invoice_id", "track", "unit_price", "quantity"];

/// Columns that lines may have.
const LINE_OPTIONAL: [&str; 3] = ["discount", "tax", "currency"];

/// Where the columns of a line stand; none where an optional one is not bound.
#[derive(Clone, Copy)]
pub(crate) struct LinePlaces {
    pub(crate) track: usize,
    pub(crate) unit_price: usize,
    pub(crate) quantity: usize,
    pub(crate) discount: Option<usize>,
    pub(crate) tax: Option<usize>,
    pub(crate) currency: Option<usize>,
}

impl LinePlaces {
    fn of(lines: &Table) -> Self {
        let columns = with_optional(lines, &LINE_COLUMNS, &LINE_OPTIONAL);
        let optional = |name: &str| columns.iter().position(|column| *column == name);
        Self {
            track: 2,
            unit_price: 3,
            quantity: 4,
            discount: optional("discount"),
            tax: optional("tax"),
            currency: optional("currency"),
        }
    }
}

impl Bound {
    /// Asks the host, and fails on bindings that make no sense for this job.
    pub(crate) fn look(run: &Run) -> Result<Self> {
        let invoices = run.described("invoices")?;
        let lines = run.described("invoice_lines")?;
        let payments = run.describe("payments")?;
        if !invoices.key().map(|column| column.name.as_str()).eq(["id"]) {
            fail!("INVOICE_KEY", "`invoices` must be bound with the key [\"id\"]: lines name an invoice by it");
        }
        numbers(&invoices, &["total"], &["decimal"])?;
        numbers(&lines, &["unit_price", "quantity", "discount", "tax"], &["decimal", "integer"])?;
        if let Some(payments) = &payments {
            numbers(payments, &["amount"], &["decimal", "integer"])?;
        }
        let currency = |table: &Table, column: &str| table.column(column).and_then(|c| c.currency.clone());
        let total = currency(&invoices, "total");
        let amounts = [
            ("invoice_lines.unit_price", currency(&lines, "unit_price")),
            ("payments.amount", payments.as_ref().and_then(|table| currency(table, "amount"))),
        ];
        for (name, other) in amounts {
            if let (Some(total), Some(other)) = (&total, &other)
                && total != other
            {
                fail!("CURRENCIES_DIFFER", "`invoices.total` is bound as {total} and `{name}` as {other}");
            }
        }
        let line = LinePlaces::of(&lines);
        Ok(Self { invoices, lines, payments, line })
    }

    pub(crate) fn invoice_columns(&self) -> Vec<&'static str> {
        with_optional(&self.invoices, &["id", "total"], &["currency", "status"])
    }

    /// The lines, by their invoices: of all, or of these.
    pub(crate) fn lines<'r>(&self, run: &'r Run, of: Option<&[Value]>) -> Result<Rows<'r>> {
        rows(run, &self.lines, &with_optional(&self.lines, &LINE_COLUMNS, &LINE_OPTIONAL), of)
    }

    /// The payments, by their invoices: of all, or of these; none where they are not bound.
    pub(crate) fn payments<'r>(&self, run: &'r Run, of: Option<&[Value]>) -> Result<Option<Rows<'r>>> {
        let Some(table) = self.payments.as_deref() else { return Ok(None) };
        rows(run, table, &with_optional(table, &["invoice_id", "amount"], &["currency"]), of).map(Some)
    }

    /// Whether this run may set an invoice's status.
    pub(crate) fn sets_status(&self) -> bool {
        self.invoices.column("status").is_some_and(|column| column.writable)
    }

    /// Digits after the point that `total` keeps, where it fixes them.
    pub(crate) fn kept(&self) -> Option<u32> {
        self.invoices.column("total").and_then(|column| column.scale).map(u32::from)
    }

    /// Digits after the point of a total in this currency: its minor unit, but no more than the column
    /// keeps. None where nothing says it: the sum is then exact.
    pub(crate) fn scale(&self, currency: Option<&str>) -> Option<u32> {
        let bound = self.invoices.column("total").and_then(|column: &ColumnInfo| column.currency.as_deref());
        let unit = currency.or(bound).map(minor_unit);
        match (unit, self.kept()) {
            (Some(unit), Some(kept)) => Some(unit.min(kept)),
            (unit, kept) => unit.or(kept),
        }
    }
}

fn rows<'r>(run: &'r Run, table: &Table, columns: &[&str], of: Option<&[Value]>) -> Result<Rows<'r>> {
    let scan = run.scan_table(table.name(), columns)?;
    let scan = match of {
        Some(ids) => scan.filter("invoice_id", Comparison::IsIn, ids.to_vec()),
        None => scan,
    };
    Ok(scan.groups("invoice_id"))
}

/// Amounts must be exact: a float would make a sum that nobody can check.
fn numbers(table: &Table, columns: &[&str], kinds: &[&str]) -> Result {
    for column in columns.iter().filter_map(|name| table.column(name)) {
        if !kinds.contains(&column.kind.as_str()) {
            let kinds = kinds.join(" or ");
            fail!("AMOUNT_KIND", "`{}.{}` is bound as {}; it must be {kinds}", table.name(), column.name, column.kind);
        }
    }
    Ok(())
}

fn with_optional(table: &Table, needed: &[&'static str], optional: &[&'static str]) -> Vec<&'static str> {
    needed.iter().chain(optional.iter().filter(|name| table.has(name))).copied().collect()
}
