//! From a CSV file, or from typed pairs, to rows of a patch.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use serde::Serialize;

use super::table::Table;
use super::{unknown_column, wrong};
use crate::cli::problem;
use crate::view::problem::Problem;

/// How NULL is written, as PostgreSQL's COPY does it.
const NULL: &str = "\\N";

/// Longer than any patch that a person can look at as a plan.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What an empty cell means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Empty {
    /// The column stays as it is.
    Keep,
    /// NULL.
    Null,
    /// The empty text.
    Text,
}

/// One row, as `patch_rows` takes it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) key: BTreeMap<String, Option<String>>,
    pub(super) set: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) expect: BTreeMap<String, Option<String>>,
}

/// The one row of `--where`, `--set` and `--expect`.
pub(super) fn typed(
    table: &Table<'_>,
    key: &[(String, String)],
    set: &[(String, String)],
    expect: &[(String, String)],
) -> Result<Row, Problem> {
    let cells = |option: &str, pairs: &[(String, String)]| -> Result<BTreeMap<String, Option<String>>, Problem> {
        let mut cells = BTreeMap::new();
        for (column, text) in pairs {
            if !table.has(column) {
                return Err(unknown_column(table, option, column));
            }
            if cells.insert(column.clone(), value(text)).is_some() {
                return Err(wrong(format!("{option} names `{column}` twice")));
            }
        }
        Ok(cells)
    };
    let row = Row { key: cells("--where", key)?, set: cells("--set", set)?, expect: cells("--expect", expect)? };
    let whole: BTreeSet<&String> = table.key.iter().collect();
    let given: BTreeSet<&String> = row.key.keys().collect();
    if whole != given {
        return Err(wrong(format!("--where names one row by its whole key, {}", named(table.key)))
            .detail("a condition on other columns would be a guess: write a job for it, or list the rows in a CSV")
            .next(format!("mendwright resource check {}", table.name), "its key and its columns"));
    }
    if let Some(column) = row.set.keys().find(|column| table.is_key(column)) {
        return Err(wrong(format!("--set names `{column}`, which belongs to the key: a key is never written")));
    }
    Ok(row)
}

/// The rows of a CSV file.
pub(super) fn csv(table: &Table<'_>, path: &Path, empty: Empty) -> Result<Vec<Row>, Problem> {
    let name = path.display().to_string();
    if path == Path::new("-") {
        return read(table, "stdin", empty, std::io::stdin().lock());
    }
    let file = std::fs::File::open(path).map_err(|error| problem::io("read", path, &error))?;
    read(table, &name, empty, file)
}

/// The rows of CSV text. `name` is what errors call it.
pub(super) fn read(table: &Table<'_>, name: &str, empty: Empty, from: impl Read) -> Result<Vec<Row>, Problem> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(format!("{name} cannot be read: {error}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BYTES_MAX {
        return Err(wrong(format!("{name} has more than {} MiB; split it", BYTES_MAX >> 20)));
    }
    // Spreadsheets begin their files with it, and it is no part of the first column's name.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = ReaderBuilder::new().from_reader(text);
    let invalid = |error: csv::Error| wrong(format!("{name} is not CSV: {error}"));
    let header = header(table, name, reader.headers().map_err(invalid)?)?;
    let mut rows = Vec::new();
    let mut seen: BTreeMap<BTreeMap<String, Option<String>>, u64> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(invalid)?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = row(table, &header, &record, empty).map_err(|why| wrong(format!("{name}:{line}: {why}")))?;
        if let Some(before) = seen.insert(row.key.clone(), line) {
            return Err(wrong(format!("{name}:{line}: this row's key stands in line {before} already")));
        }
        // A row whose cells are all empty asks for nothing.
        if !row.set.is_empty() {
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(wrong(format!("{name} asks for no change")));
    }
    Ok(rows)
}

fn header(table: &Table<'_>, name: &str, header: &StringRecord) -> Result<Vec<String>, Problem> {
    let columns: Vec<String> = header.iter().map(|column| column.trim().to_owned()).collect();
    let place = format!("{name}:1");
    let mut seen = BTreeSet::new();
    for column in &columns {
        if !table.has(column) {
            return Err(unknown_column(table, &place, column));
        }
        if !seen.insert(column) {
            return Err(wrong(format!("{place}: the column `{column}` stands there twice")));
        }
    }
    if let Some(missing) = table.key.iter().find(|column| !columns.contains(column)) {
        return Err(wrong(format!("{place}: the key column `{missing}` is missing"))
            .detail(format!("a row is named by its whole key, {}", named(table.key))));
    }
    if columns.len() == table.key.len() {
        return Err(wrong(format!("{place}: there is no column beside the key, so nothing to write")));
    }
    Ok(columns)
}

fn row(table: &Table<'_>, header: &[String], record: &StringRecord, empty: Empty) -> Result<Row, String> {
    let mut row = Row { key: BTreeMap::new(), set: BTreeMap::new(), expect: BTreeMap::new() };
    for (column, text) in header.iter().zip(record) {
        if table.is_key(column) {
            if text.is_empty() || text == NULL {
                return Err(format!("the key column `{column}` is empty"));
            }
            row.key.insert(column.clone(), Some(text.to_owned()));
            continue;
        }
        let new = match (text, empty) {
            ("", Empty::Keep) => continue,
            ("", Empty::Null) => None,
            ("", Empty::Text) => Some(String::new()),
            (text, _) => value(text),
        };
        row.set.insert(column.clone(), new);
    }
    Ok(row)
}

fn value(text: &str) -> Option<String> {
    (text != NULL).then(|| text.to_owned())
}

/// `id`, or `id and region`.
fn named(key: &[String]) -> String {
    key.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(" and ")
}
