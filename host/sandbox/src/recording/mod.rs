//! The calls of one run, written down with the host's answers, and played back without any database.
//!
//! A recording is JSON lines: a [`Header`] with every input, then one line for each call of `tables`
//! and `table-writes`. The format is frozen: a new one is a new word in [`FORMAT`]. Answers hold data
//! of the tenant: whoever keeps a recording keeps it as closely as the database.
//!
//! - here: the calls, and their playing back to the last bit;
//! - `wishes`, [`Outcome`]: what a run came to; [`DryRun`]: both in one file;
//! - `trial`: the same answers for another version of a component.

mod dry_run;
mod outcome;
mod trial;
mod wishes;

use std::io::{self, BufRead, Write};

use mendwright_core::change::{Action, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{
    ColumnInfo, CursorId, Future, Query, Refusal, RefusalKind, Row, RowChange, RowRemoval, Tables,
};
use mendwright_core::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::call::Identity;
pub use dry_run::{DRY_RUN_FORMAT, DryRun, RECORDING_BYTES_MAX, Recorded, Replayed};
pub use outcome::{Ending, Found, Outcome};
pub use wishes::Wish;
use wishes::Wishes;

/// The format's name, first in every recording.
pub const FORMAT: &str = "mendwright-recording/1";

/// The inputs of the recorded call; the tables' answers follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// The component's SHA-256, in hex.
    pub component: String,
    /// Who and what the run was.
    pub identity: Identity,
    /// The seed.
    pub seed: u64,
    /// The parameters, as the job got them.
    pub params: String,
}

/// One call and its answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    call: String,
    /// SHA-256 of the arguments as JSON.
    arguments: String,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    answer: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
}

/// Why a recording cannot be played back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the recording cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is larger than [`RECORDING_BYTES_MAX`].
    #[error("a recording has at most {RECORDING_BYTES_MAX} bytes")]
    TooLarge,
    /// Its first line is no header of this format.
    #[error("the file is no recording of a dry run ({FORMAT})")]
    Format,
}

impl ReadError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Io(_) => Code::Io,
            Self::TooLarge => Code::RecordingTooLarge,
            Self::Format => Code::RecordingInvalid,
        }
    }
}

/// Passes calls on and writes them down.
pub struct Recorder<T, W> {
    inner: T,
    writer: W,
    failed: Option<io::Error>,
    wishes: Wishes,
}

impl<T: Tables, W: Write + Send> Recorder<T, W> {
    /// Starts a recording. Give a buffered writer: each call writes a line.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn new(inner: T, writer: W, header: &Header) -> io::Result<Self> {
        let mut recorder = Self::over(inner, writer, header);
        recorder.failed.take().map_or(Ok(recorder), Err)
    }

    /// The same, but a header that cannot be written is told at the end.
    fn over(inner: T, mut writer: W, header: &Header) -> Self {
        let failed = write_line(&mut writer, header).err();
        Self { inner, writer, failed, wishes: Wishes::default() }
    }

    /// Ends the recording and gives back what it was made of.
    ///
    /// # Errors
    /// A line could not be written; the recording is not whole then.
    pub fn finish(self) -> io::Result<(T, W)> {
        let (inner, writer) = self.into_parts();
        Ok((inner, writer?))
    }

    /// The same, with the tables whatever became of the recording.
    fn into_parts(mut self) -> (T, io::Result<W>) {
        let written = match self.failed {
            Some(error) => Err(error),
            None => self.writer.flush().map(|()| self.writer),
        };
        (self.inner, written)
    }

    fn record<A>(
        &mut self,
        call: &str,
        arguments: &serde_json::Value,
        result: &Result<A, Refusal>,
        answer: impl FnOnce(&A) -> serde_json::Value,
    ) {
        // The run is worth more than its recording: it goes on, and `finish` tells.
        if self.failed.is_some() {
            return;
        }
        let (answer, refusal) = match result {
            Ok(value) => (answer(value), None),
            Err(refusal) => (serde_json::Value::Null, Some(refusal.clone())),
        };
        let line = Line { call: call.to_owned(), arguments: digest(arguments), answer, refusal };
        self.failed = write_line(&mut self.writer, &line).err();
    }
}

fn write_line(writer: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, line)?;
    writer.write_all(b"\n")
}

fn digest(arguments: &serde_json::Value) -> String {
    hex::encode(Sha256::digest(arguments.to_string()))
}

fn tagged(values: &[Value]) -> Vec<String> {
    values.iter().map(Value::tagged).collect()
}

fn untagged(row: Vec<String>) -> Option<Row> {
    row.iter().map(|text| Value::from_tagged(text)).collect()
}

fn unit((): &()) -> serde_json::Value {
    serde_json::Value::Null
}

/// The calls' arguments as JSON, the same for recorder and replayer.
mod arguments {
    use super::{CursorId, Key, Query, RowChange, RowRemoval, json, tagged};

    pub(super) fn describe(table: &str) -> serde_json::Value {
        json!([table])
    }

    pub(super) fn get(table: &str, keys: &[Key], columns: &[String]) -> serde_json::Value {
        json!([table, keys.iter().map(|key| tagged(&key.0)).collect::<Vec<_>>(), columns])
    }

    pub(super) fn scan(query: &Query) -> serde_json::Value {
        let filters: Vec<_> =
            query.filters.iter().map(|filter| json!([filter.column, filter.op, tagged(&filter.values)])).collect();
        json!([query.table, query.columns, filters, query.order_by])
    }

    pub(super) fn cursor(cursor: CursorId) -> serde_json::Value {
        json!([cursor.0])
    }

    pub(super) fn changes(table: &str, rows: &[RowChange]) -> serde_json::Value {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let cells: Vec<_> = row.cells.iter().map(|(column, value)| json!([column, value.tagged()])).collect();
                json!([tagged(&row.key.0), cells, row.reason])
            })
            .collect();
        json!([table, rows])
    }

    pub(super) fn removals(table: &str, rows: &[RowRemoval]) -> serde_json::Value {
        let rows: Vec<_> = rows.iter().map(|row| json!([tagged(&row.key.0), row.reason])).collect();
        json!([table, rows])
    }
}

impl<T: Tables, W: Write + Send + 'static> Tables for Recorder<T, W> {
    fn describe<'a>(&'a mut self, table: &'a str) -> Future<'a, Result<Vec<ColumnInfo>, Refusal>> {
        Box::pin(async move {
            let result = self.inner.describe(table).await;
            self.record("describe", &arguments::describe(table), &result, |columns| json!(columns));
            result
        })
    }

    fn get<'a>(
        &'a mut self,
        table: &'a str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Future<'a, Result<Vec<Option<Row>>, Refusal>> {
        Box::pin(async move {
            let arguments = arguments::get(table, &keys, &columns);
            let result = self.inner.get(table, keys, columns).await;
            self.record("get", &arguments, &result, |rows| {
                rows.iter().map(|row| row.as_deref().map(tagged)).collect::<Vec<_>>().into()
            });
            result
        })
    }

    fn scan(&mut self, query: Query) -> Future<'_, Result<CursorId, Refusal>> {
        Box::pin(async move {
            let arguments = arguments::scan(&query);
            let result = self.inner.scan(query).await;
            self.record("scan", &arguments, &result, |cursor| json!(cursor.0));
            result
        })
    }

    fn next_page(&mut self, cursor: CursorId) -> Future<'_, Result<Vec<Row>, Refusal>> {
        Box::pin(async move {
            let result = self.inner.next_page(cursor).await;
            self.record("next-page", &arguments::cursor(cursor), &result, |rows| {
                rows.iter().map(|row| tagged(row)).collect::<Vec<_>>().into()
            });
            result
        })
    }

    fn close(&mut self, cursor: CursorId) {
        self.inner.close(cursor);
        self.record("close", &arguments::cursor(cursor), &Ok(()), unit);
    }

    fn insert<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let arguments = arguments::changes(table, &rows);
            let result = self.inner.insert(table, rows.clone()).await;
            if result.is_ok() {
                self.wishes.change(Action::Insert, table, &rows);
            }
            self.record("insert", &arguments, &result, unit);
            result
        })
    }

    fn update<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let arguments = arguments::changes(table, &rows);
            let result = self.inner.update(table, rows.clone()).await;
            if result.is_ok() {
                self.wishes.change(Action::Update, table, &rows);
            }
            self.record("update", &arguments, &result, unit);
            result
        })
    }

    fn delete<'a>(&'a mut self, table: &'a str, rows: Vec<RowRemoval>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let arguments = arguments::removals(table, &rows);
            let result = self.inner.delete(table, rows.clone()).await;
            if result.is_ok() {
                self.wishes.remove(table, &rows);
            }
            self.record("delete", &arguments, &result, unit);
            result
        })
    }
}

/// Answers calls from a recording, and refuses the first one that differs from it.
pub struct Replayer<R> {
    reader: R,
    n_calls: usize,
    diverged: Option<Refusal>,
    wishes: Wishes,
}

impl<R: BufRead + Send> Replayer<R> {
    /// Opens a recording.
    ///
    /// # Errors
    /// It cannot be read or is none.
    pub fn new(mut reader: R) -> Result<(Header, Self), ReadError> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let header: Header = serde_json::from_str(&line).map_err(|_| ReadError::Format)?;
        if header.format != FORMAT {
            return Err(ReadError::Format);
        }
        Ok((header, Self { reader, n_calls: 0, diverged: None, wishes: Wishes::default() }))
    }

    /// Ends the replay.
    ///
    /// # Errors
    /// A call differed, or calls that were recorded were not made.
    pub fn finish(mut self) -> Result<(), Refusal> {
        if let Some(refusal) = self.diverged {
            return Err(refusal);
        }
        match self.next_line() {
            Ok(None) => Ok(()),
            Ok(Some(line)) => Err(self.diverge(&format!("ends, and the recording goes on with `{}`", line.call))),
            Err(refusal) => Err(refusal),
        }
    }

    fn diverge(&mut self, how: &str) -> Refusal {
        let message = format!("after {} calls the replay {how}", self.n_calls);
        let refusal = Refusal::new(RefusalKind::Drifted, Code::ReplayDiverged, message);
        self.diverged.get_or_insert(refusal).clone()
    }

    fn next_line(&mut self) -> Result<Option<Line>, Refusal> {
        let mut text = String::new();
        match self.reader.read_line(&mut text) {
            Ok(0) => Ok(None),
            Ok(_) => match serde_json::from_str(&text) {
                Ok(line) => Ok(Some(line)),
                Err(error) => Err(self.diverge(&format!("meets a line that is none of a recording ({error})"))),
            },
            Err(error) => Err(self.diverge(&format!("cannot read on ({error})"))),
        }
    }

    fn play<A>(
        &mut self,
        call: &str,
        arguments: &serde_json::Value,
        read: impl FnOnce(serde_json::Value) -> Option<A>,
    ) -> Result<A, Refusal> {
        if let Some(refusal) = &self.diverged {
            return Err(refusal.clone());
        }
        let Some(line) = self.next_line()? else {
            return Err(self.diverge(&format!("calls `{call}`, and the recording is over")));
        };
        if line.call != call || line.arguments != digest(arguments) {
            return Err(self.diverge(&format!("calls `{call}`, which is not the recorded `{}`", line.call)));
        }
        self.n_calls += 1;
        if let Some(refusal) = line.refusal {
            return Err(refusal);
        }
        read(line.answer).ok_or_else(|| self.diverge(&format!("finds no answer to `{call}` in the recording")))
    }

    fn play_unit(&mut self, call: &str, arguments: &serde_json::Value) -> Result<(), Refusal> {
        self.play(call, arguments, |_| Some(()))
    }
}

fn rows(answer: serde_json::Value) -> Option<Vec<Row>> {
    serde_json::from_value::<Vec<Vec<String>>>(answer).ok()?.into_iter().map(untagged).collect()
}

fn rows_or_none(answer: serde_json::Value) -> Option<Vec<Option<Row>>> {
    let rows: Vec<Option<Vec<String>>> = serde_json::from_value(answer).ok()?;
    rows.into_iter().map(|row| row.map_or(Some(None), |row| untagged(row).map(Some))).collect()
}

impl<R: BufRead + Send + 'static> Tables for Replayer<R> {
    fn describe<'a>(&'a mut self, table: &'a str) -> Future<'a, Result<Vec<ColumnInfo>, Refusal>> {
        let read = |answer| serde_json::from_value(answer).ok();
        Box::pin(std::future::ready(self.play("describe", &arguments::describe(table), read)))
    }

    fn get<'a>(
        &'a mut self,
        table: &'a str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Future<'a, Result<Vec<Option<Row>>, Refusal>> {
        Box::pin(std::future::ready(self.play("get", &arguments::get(table, &keys, &columns), rows_or_none)))
    }

    fn scan(&mut self, query: Query) -> Future<'_, Result<CursorId, Refusal>> {
        let read = |answer| serde_json::from_value(answer).ok().map(CursorId);
        Box::pin(std::future::ready(self.play("scan", &arguments::scan(&query), read)))
    }

    fn next_page(&mut self, cursor: CursorId) -> Future<'_, Result<Vec<Row>, Refusal>> {
        Box::pin(std::future::ready(self.play("next-page", &arguments::cursor(cursor), rows)))
    }

    fn close(&mut self, cursor: CursorId) {
        // It can refuse nothing; the next call or `finish` tells that it differed.
        let _ = self.play_unit("close", &arguments::cursor(cursor));
    }

    fn insert<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        let played = self.play_unit("insert", &arguments::changes(table, &rows));
        if played.is_ok() {
            self.wishes.change(Action::Insert, table, &rows);
        }
        Box::pin(std::future::ready(played))
    }

    fn update<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        let played = self.play_unit("update", &arguments::changes(table, &rows));
        if played.is_ok() {
            self.wishes.change(Action::Update, table, &rows);
        }
        Box::pin(std::future::ready(played))
    }

    fn delete<'a>(&'a mut self, table: &'a str, rows: Vec<RowRemoval>) -> Future<'a, Result<(), Refusal>> {
        let played = self.play_unit("delete", &arguments::removals(table, &rows));
        if played.is_ok() {
            self.wishes.remove(table, &rows);
        }
        Box::pin(std::future::ready(played))
    }
}
