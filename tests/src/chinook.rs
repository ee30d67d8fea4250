//! Chinook: a public invoice database (MIT; `fixtures/chinook/LICENSE.md`), in both engines.
//!
//! 412 invoices with 2,240 lines, for customers in 24 countries. In the data as published each invoice's
//! total is the sum of its lines, in exact decimal arithmetic (tested below).

use std::path::{Path, PathBuf};

use anyhow::Context;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};

use crate::books::{Books, Cents, Invoice, Line};

const SQLITE: &[u8] = include_bytes!("../fixtures/chinook/chinook.sqlite");
const POSTGRES: &str = include_str!("../fixtures/chinook/chinook.pg.sql");

/// How the SQLite file keeps its writes safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// A write-ahead log: readers and the writer do not wait for each other.
    Wal,
    /// A rollback journal, as most applications leave it.
    Rollback,
}

/// A fresh Chinook in a file of its own, removed when this is dropped.
#[derive(Debug)]
pub struct SqliteFile {
    directory: tempfile::TempDir,
}

impl SqliteFile {
    /// Copies the fixture into a new temporary directory.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub async fn new(journal: Journal) -> anyhow::Result<Self> {
        let file = Self { directory: tempfile::Builder::new().prefix("mendwright-chinook-").tempdir()? };
        write_sqlite(&file.path(), journal).await?;
        Ok(file)
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("chinook.db")
    }

    /// The directory around it, for whatever else a test needs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// `sqlite:…`, as `mendwright.toml` has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    /// A connection that may write, as an application's.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub async fn connect(&self) -> anyhow::Result<SqliteConnection> {
        connect_sqlite(&self.path()).await
    }
}

/// Writes a fresh Chinook to `path`, over what is there.
///
/// # Errors
/// The file cannot be written.
pub async fn write_sqlite(path: &Path, journal: Journal) -> anyhow::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", name.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    std::fs::write(path, SQLITE).with_context(|| format!("writing {}", path.display()))?;
    let mode = match journal {
        Journal::Wal => SqliteJournalMode::Wal,
        Journal::Rollback => SqliteJournalMode::Delete,
    };
    SqliteConnectOptions::new().filename(path).journal_mode(mode).connect().await?.close().await?;
    Ok(())
}

/// A connection that may write to the SQLite file at `path`.
///
/// # Errors
/// The file does not exist or cannot be opened.
pub async fn connect_sqlite(path: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).foreign_keys(true);
    options.connect().await.with_context(|| format!("opening {}", path.display()))
}

/// Loads Chinook into the empty database of `connection`.
///
/// # Errors
/// The server refuses, for example because the tables exist.
pub async fn load_postgres(connection: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::raw_sql(POSTGRES).execute(connection).await.context("loading Chinook into PostgreSQL")?;
    Ok(())
}

/// The invoices and lines of a SQLite Chinook.
///
/// # Errors
/// The database cannot be read, or its amounts are not whole cents.
pub async fn books_of_sqlite(connection: &mut SqliteConnection) -> anyhow::Result<Books> {
    let invoices = sqlx::query_as(
        r#"SELECT "InvoiceId", "BillingCountry", CAST("Total" AS TEXT) FROM "Invoice" ORDER BY "InvoiceId""#,
    );
    let lines = sqlx::query_as(
        r#"SELECT "InvoiceLineId", "InvoiceId", "TrackId", CAST("UnitPrice" AS TEXT), "Quantity"
           FROM "InvoiceLine" ORDER BY "InvoiceLineId""#,
    );
    books(invoices.fetch_all(&mut *connection).await?, lines.fetch_all(connection).await?)
}

/// The invoices and lines of a PostgreSQL Chinook.
///
/// # Errors
/// The database cannot be read, or its amounts are not whole cents.
pub async fn books_of_postgres(connection: &mut PgConnection) -> anyhow::Result<Books> {
    let invoices =
        sqlx::query_as("SELECT invoice_id::bigint, billing_country, total::text FROM invoice ORDER BY invoice_id");
    let lines = sqlx::query_as(
        "SELECT invoice_line_id::bigint, invoice_id::bigint, track_id::bigint, unit_price::text, quantity::bigint
         FROM invoice_line ORDER BY invoice_line_id",
    );
    books(invoices.fetch_all(&mut *connection).await?, lines.fetch_all(connection).await?)
}

type InvoiceRow = (i64, String, String);
type LineRow = (i64, i64, i64, String, i64);

fn books(invoices: Vec<InvoiceRow>, lines: Vec<LineRow>) -> anyhow::Result<Books> {
    let mut books = Books::default();
    for (id, tenant, total) in invoices {
        let total = Cents::parse(&total).with_context(|| format!("total of invoice {id}"))?;
        books.invoices.insert(id, Invoice { id, tenant, total, lines: Vec::new() });
    }
    for (id, invoice, track, unit_price, quantity) in lines {
        let unit_price = Cents::parse(&unit_price).with_context(|| format!("price of line {id}"))?;
        let owner = books.invoices.get_mut(&invoice).with_context(|| format!("line {id} has no invoice"))?;
        owner.lines.push(Line { id, track, unit_price, quantity });
    }
    Ok(books)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::postgres::Cluster;

    #[tokio::test]
    async fn both_engines_hold_the_same_invoices() {
        let file = SqliteFile::new(Journal::Wal).await.unwrap();
        let sqlite = books_of_sqlite(&mut file.connect().await.unwrap()).await.unwrap();
        let database = Cluster::shared().database("books").await.unwrap();
        let postgres = books_of_postgres(&mut database.connect().await.unwrap()).await.unwrap();
        assert_eq!(sqlite, postgres);
        assert_eq!(sqlite.invoices.len(), 412);
        assert_eq!(sqlite.invoices.values().map(|invoice| invoice.lines.len()).sum::<usize>(), 2_240);
    }

    #[tokio::test]
    async fn as_published_each_total_is_the_exact_sum_and_no_line_is_doubtful() {
        let file = SqliteFile::new(Journal::Rollback).await.unwrap();
        let books = books_of_sqlite(&mut file.connect().await.unwrap()).await.unwrap();
        for invoice in books.invoices.values() {
            assert_eq!(invoice.total, invoice.sum(), "invoice {}", invoice.id);
            assert!(!invoice.lines.is_empty() && invoice.lines.iter().all(|line| line.quantity > 0));
            let tracks: BTreeSet<_> = invoice.lines.iter().map(|line| line.track).collect();
            assert_eq!(tracks.len(), invoice.lines.len(), "invoice {}", invoice.id);
        }
    }

    #[tokio::test]
    async fn the_journal_mode_is_the_one_asked_for() {
        for (journal, word) in [(Journal::Wal, "wal"), (Journal::Rollback, "delete")] {
            let file = SqliteFile::new(journal).await.unwrap();
            let mut connection = file.connect().await.unwrap();
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
            assert_eq!(mode, word);
        }
    }
}
