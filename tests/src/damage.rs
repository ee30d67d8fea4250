//! Ten realistic ways in which invoices go wrong, chosen by a seed and the rows alone.
//!
//! [`plan`] is pure: the same books and seed give the same faults for both engines. [`Damage::on_sqlite`]
//! and [`Damage::on_postgres`] execute them. Each [`Fault`] says what a correct repair does about it, so
//! that a test can demand exactly that and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::books::{Books, Cents, Invoice, Line};

/// Lines that a fault adds have ids from here on, far from Chinook's own.
pub const FIRST_NEW_LINE: i64 = 900_001;

/// A way in which an invoice goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The total is the price of one line.
    OneLinesPrice,
    /// The total is zero.
    Zeroed,
    /// The total was summed in floats: `13.859999999999998`. Where the database keeps exact decimals,
    /// such a sum was cut off at the second digit, and a cent is missing.
    FloatNoise,
    /// A lost line was added back, and the total was not told.
    LineAddedBack,
    /// Tax was added to a total that contained it: `10.6029`, or `10.60` in exact decimals.
    TaxedTwice,
    /// The total has the wrong sign.
    SignFlipped,
    /// Two invoices have each other's totals.
    Swapped,
    /// A line was entered twice. Which one stays is for a person.
    LineDuplicated,
    /// All lines of the invoice were lost.
    LinesLost,
    /// A line was entered with a negative quantity.
    QuantityNegative,
}

impl Kind {
    /// Every kind, in the order of this file.
    pub const ALL: [Self; 10] = [
        Self::OneLinesPrice,
        Self::Zeroed,
        Self::FloatNoise,
        Self::LineAddedBack,
        Self::TaxedTwice,
        Self::SignFlipped,
        Self::Swapped,
        Self::LineDuplicated,
        Self::LinesLost,
        Self::QuantityNegative,
    ];

    /// One line for the demo.
    #[must_use]
    pub const fn story(self) -> &'static str {
        match self {
            Self::OneLinesPrice => "an import overwrote the total with one line's price",
            Self::Zeroed => "a failed job set the total to zero",
            Self::FloatNoise => "a script summed the lines in floating point",
            Self::LineAddedBack => "a lost line was added back, the total was not",
            Self::TaxedTwice => "19 % tax was added to a total that contained it",
            Self::SignFlipped => "the total was booked as a credit",
            Self::Swapped => "two totals were swapped",
            Self::LineDuplicated => "a line was entered twice",
            Self::LinesLost => "the lines were lost",
            Self::QuantityNegative => "a line was entered with a negative quantity",
        }
    }
}

/// What a correct repair does about a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It sets this total.
    Total(Cents),
    /// It leaves the invoice as it is and reports it.
    Finding,
}

/// One fault of one invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The billing country.
    pub tenant: String,
    /// The invoice.
    pub invoice: i64,
    /// What happened to it.
    pub kind: Kind,
    /// The line that was added or changed, where it is one.
    pub line: Option<i64>,
    /// What a correct repair does.
    pub expected: Effect,
    /// The statements for SQLite.
    pub sqlite: Vec<String>,
    /// The statements for PostgreSQL.
    pub postgres: Vec<String>,
}

/// Everything that was, or is to be, broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// In the order in which it happens.
    pub faults: Vec<Fault>,
}

/// All ten kinds for each of `tenants`.
///
/// # Errors
/// A tenant has too few invoices that a kind fits.
pub fn plan(books: &Books, seed: u64, tenants: &[&str]) -> anyhow::Result<Damage> {
    let wanted: Vec<(&str, &[Kind])> = tenants.iter().map(|tenant| (*tenant, Kind::ALL.as_slice())).collect();
    plan_kinds(books, seed, &wanted)
}

/// The kinds given for each tenant; a kind may be given twice.
///
/// # Errors
/// A tenant has too few invoices that a kind fits.
pub fn plan_kinds(books: &Books, seed: u64, wanted: &[(&str, &[Kind])]) -> anyhow::Result<Damage> {
    let mut planner = Planner {
        books,
        rng: ChaCha8Rng::seed_from_u64(seed),
        touched: BTreeSet::new(),
        next_line: FIRST_NEW_LINE,
        damage: Damage::default(),
    };
    for (tenant, kinds) in wanted {
        // What few invoices allow chooses first.
        let mut kinds = kinds.to_vec();
        kinds.sort_by_key(|kind| (*kind != Kind::FloatNoise, *kind));
        for kind in kinds {
            planner.break_one(tenant, kind)?;
        }
    }
    planner.damage.faults.sort_by(|a, b| (&a.tenant, a.invoice).cmp(&(&b.tenant, b.invoice)));
    Ok(planner.damage)
}

struct Planner<'a> {
    books: &'a Books,
    rng: ChaCha8Rng,
    touched: BTreeSet<i64>,
    next_line: i64,
    damage: Damage,
}

impl<'a> Planner<'a> {
    fn break_one(&mut self, tenant: &str, kind: Kind) -> anyhow::Result<()> {
        let invoice = match kind {
            Kind::FloatNoise => self.choose(tenant, |invoice| invoice.noisy_sum().is_some())?,
            Kind::OneLinesPrice | Kind::LineAddedBack | Kind::LineDuplicated | Kind::QuantityNegative => {
                self.choose(tenant, |invoice| invoice.lines.len() >= 2)?
            }
            Kind::Zeroed | Kind::TaxedTwice | Kind::SignFlipped | Kind::Swapped | Kind::LinesLost => {
                self.choose(tenant, |_| true)?
            }
        };
        let line = self.any_line(invoice)?;
        let sum = invoice.sum();
        match kind {
            Kind::OneLinesPrice => self.total(invoice, kind, line.unit_price),
            Kind::Zeroed => self.total(invoice, kind, Cents(0)),
            Kind::FloatNoise => {
                let noisy = invoice.noisy_sum().context("an exact sum was chosen")?;
                self.set(invoice, kind, &noisy, &Cents(sum.0 - 1).to_string());
            }
            Kind::LineAddedBack => self.total(invoice, kind, Cents(sum.0 - line.unit_price.0 * line.quantity)),
            Kind::TaxedTwice => {
                let taxed = sum.0 * 119;
                let rounded = Cents((taxed + 50) / 100);
                self.set(invoice, kind, &format!("{}.{:04}", taxed / 10_000, taxed % 10_000), &rounded.to_string());
            }
            Kind::SignFlipped => self.total(invoice, kind, Cents(-sum.0)),
            Kind::Swapped => {
                let other = self.choose(tenant, |other| other.total != invoice.total)?;
                self.total(invoice, kind, other.total);
                self.total(other, kind, invoice.total);
            }
            Kind::LineDuplicated => self.duplicate(invoice, line),
            Kind::LinesLost => self.push(
                (invoice, None, kind, Effect::Finding),
                format!(r#"DELETE FROM "InvoiceLine" WHERE "InvoiceId" = {}"#, invoice.id),
                format!("DELETE FROM invoice_line WHERE invoice_id = {}", invoice.id),
            ),
            Kind::QuantityNegative => self.push(
                (invoice, Some(line.id), kind, Effect::Finding),
                format!(r#"UPDATE "InvoiceLine" SET "Quantity" = -1 WHERE "InvoiceLineId" = {}"#, line.id),
                format!("UPDATE invoice_line SET quantity = -1 WHERE invoice_line_id = {}", line.id),
            ),
        }
        Ok(())
    }

    /// An invoice of `tenant` that is still whole, by the seed.
    fn choose(&mut self, tenant: &str, fits: impl Fn(&Invoice) -> bool) -> anyhow::Result<&'a Invoice> {
        let books = self.books;
        let whole = |invoice: &&Invoice| invoice.tenant == tenant && !self.touched.contains(&invoice.id);
        let candidates: Vec<&Invoice> = books.invoices.values().filter(whole).filter(|invoice| fits(invoice)).collect();
        let index = self.below(candidates.len());
        let chosen = candidates.get(index).with_context(|| format!("{tenant} has too few invoices to break"))?;
        self.touched.insert(chosen.id);
        Ok(chosen)
    }

    fn any_line(&mut self, invoice: &'a Invoice) -> anyhow::Result<&'a Line> {
        let index = self.below(invoice.lines.len());
        invoice.lines.get(index).with_context(|| format!("invoice {} has no line", invoice.id))
    }

    /// A number below `length`. Plain remainder, because it is the same in every version of every crate;
    /// the bias over a few dozen rows is nothing.
    fn below(&mut self, length: usize) -> usize {
        let random = self.rng.next_u64();
        u64::try_from(length)
            .ok()
            .and_then(|length| random.checked_rem(length))
            .map_or(0, |index| usize::try_from(index).unwrap_or(0))
    }

    fn total(&mut self, invoice: &Invoice, kind: Kind, total: Cents) {
        self.set(invoice, kind, &total.to_string(), &total.to_string());
    }

    fn set(&mut self, invoice: &Invoice, kind: Kind, sqlite: &str, postgres: &str) {
        self.push(
            (invoice, None, kind, Effect::Total(invoice.sum())),
            format!(r#"UPDATE "Invoice" SET "Total" = {sqlite} WHERE "InvoiceId" = {}"#, invoice.id),
            format!("UPDATE invoice SET total = {postgres} WHERE invoice_id = {}", invoice.id),
        );
    }

    fn duplicate(&mut self, invoice: &Invoice, line: &Line) {
        let (new, old) = (self.next_line, line.id);
        self.next_line += 1;
        self.push(
            (invoice, Some(new), Kind::LineDuplicated, Effect::Finding),
            format!(
                r#"INSERT INTO "InvoiceLine" SELECT {new}, "InvoiceId", "TrackId", "UnitPrice", "Quantity" FROM "InvoiceLine" WHERE "InvoiceLineId" = {old}"#
            ),
            format!(
                "INSERT INTO invoice_line SELECT {new}, invoice_id, track_id, unit_price, quantity FROM invoice_line WHERE invoice_line_id = {old}"
            ),
        );
    }

    fn push(
        &mut self,
        (invoice, line, kind, expected): (&Invoice, Option<i64>, Kind, Effect),
        sqlite: String,
        postgres: String,
    ) {
        self.damage.faults.push(Fault {
            tenant: invoice.tenant.clone(),
            invoice: invoice.id,
            kind,
            line,
            expected,
            sqlite: vec![sqlite],
            postgres: vec![postgres],
        });
    }
}

impl Damage {
    /// Breaks a SQLite Chinook, in one transaction.
    ///
    /// # Errors
    /// The database refuses a statement.
    pub async fn on_sqlite(&self, connection: &mut SqliteConnection) -> anyhow::Result<()> {
        let mut transaction = connection.begin().await?;
        for statement in self.faults.iter().flat_map(|fault| &fault.sqlite) {
            let done = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *transaction).await?;
            if done.rows_affected() == 0 {
                bail!("nothing to break: {statement}");
            }
        }
        Ok(transaction.commit().await?)
    }

    /// Breaks a PostgreSQL Chinook, in one transaction.
    ///
    /// # Errors
    /// The database refuses a statement.
    pub async fn on_postgres(&self, connection: &mut PgConnection) -> anyhow::Result<()> {
        let mut transaction = connection.begin().await?;
        for statement in self.faults.iter().flat_map(|fault| &fault.postgres) {
            let done = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *transaction).await?;
            if done.rows_affected() == 0 {
                bail!("nothing to break: {statement}");
            }
        }
        Ok(transaction.commit().await?)
    }

    /// What the repair of `tenant` must change: invoice → total.
    #[must_use]
    pub fn expected_totals(&self, tenant: &str) -> BTreeMap<i64, Cents> {
        let of_tenant = self.faults.iter().filter(|fault| fault.tenant == tenant);
        of_tenant
            .filter_map(|fault| match fault.expected {
                Effect::Total(total) => Some((fault.invoice, total)),
                Effect::Finding => None,
            })
            .collect()
    }

    /// What the repair of `tenant` must report and leave alone: invoice → what happened to it.
    #[must_use]
    pub fn expected_findings(&self, tenant: &str) -> BTreeMap<i64, Kind> {
        let of_tenant = self.faults.iter().filter(|fault| fault.tenant == tenant);
        of_tenant.filter(|fault| fault.expected == Effect::Finding).map(|fault| (fault.invoice, fault.kind)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chinook::{Journal, SqliteFile, books_of_postgres, books_of_sqlite};
    use crate::postgres::Cluster;

    const TENANTS: [&str; 2] = ["Germany", "France"];

    async fn clean() -> (SqliteFile, Books) {
        let file = SqliteFile::new(Journal::Wal).await.unwrap();
        let books = books_of_sqlite(&mut file.connect().await.unwrap()).await.unwrap();
        (file, books)
    }

    #[tokio::test]
    async fn the_seed_decides_and_each_tenant_gets_all_ten() {
        let (_file, books) = clean().await;
        let damage = plan(&books, 42, &TENANTS).unwrap();
        assert_eq!(damage, plan(&books, 42, &TENANTS).unwrap());
        assert_ne!(damage, plan(&books, 43, &TENANTS).unwrap());
        for tenant in TENANTS {
            let faults = || damage.faults.iter().filter(|fault| fault.tenant == tenant);
            assert_eq!(faults().map(|fault| fault.kind).collect::<BTreeSet<_>>(), BTreeSet::from(Kind::ALL));
            // The swap takes two invoices; no invoice is broken twice.
            assert_eq!(faults().map(|fault| fault.invoice).collect::<BTreeSet<_>>().len(), 11);
            assert_eq!(damage.expected_totals(tenant).len(), 8);
            assert_eq!(damage.expected_findings(tenant).len(), 3);
        }
    }

    #[tokio::test]
    async fn every_tenant_with_enough_invoices_can_be_broken_by_any_seed() {
        let (_file, books) = clean().await;
        for seed in 0..200 {
            for tenant in ["Germany", "France", "Portugal", "Czech Republic", "USA"] {
                plan(&books, seed, &[tenant]).unwrap();
            }
        }
        assert!(plan(&books, 1, &["Norway"]).is_err());
    }

    #[tokio::test]
    async fn sqlite_is_broken_exactly_as_described() {
        let (file, books) = clean().await;
        let damage = plan(&books, 7, &TENANTS).unwrap();
        let mut connection = file.connect().await.unwrap();
        damage.on_sqlite(&mut connection).await.unwrap();
        let after: Vec<(i64, f64)> = sqlx::query_as(r#"SELECT "InvoiceId", CAST("Total" AS REAL) FROM "Invoice""#)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for (invoice, total) in after {
            let before = books.invoices[&invoice].total;
            let broken = damage.faults.iter().find(|fault| fault.invoice == invoice);
            let should_differ = broken.is_some_and(|fault| fault.expected != Effect::Finding);
            assert_eq!(total != before.to_string().parse::<f64>().unwrap(), should_differ, "{broken:?}");
        }
    }

    #[tokio::test]
    async fn postgres_is_broken_exactly_as_described() {
        let database = Cluster::shared().database("damage").await.unwrap();
        let mut connection = database.connect().await.unwrap();
        let before = books_of_postgres(&mut connection).await.unwrap();
        let damage = plan(&before, 7, &TENANTS).unwrap();
        damage.on_postgres(&mut connection).await.unwrap();
        let after = books_of_postgres(&mut connection).await.unwrap();
        let mut healed = BTreeMap::new();
        for invoice in after.invoices.values() {
            let old = &before.invoices[&invoice.id];
            match damage.faults.iter().find(|fault| fault.invoice == invoice.id).map(|fault| &fault.expected) {
                None => assert_eq!(invoice, old),
                Some(Effect::Finding) => assert!(invoice.total == old.total && invoice.lines != old.lines),
                Some(Effect::Total(total)) => {
                    assert!(invoice.total != old.total && invoice.lines == old.lines && invoice.sum() == *total);
                    healed.insert(invoice.id, *total);
                }
            }
        }
        assert_eq!(healed.len(), 16);
    }
}
