//! Answers for another version of a component: what was read can be read again, in any order; what it
//! wants is collected.

use std::collections::BTreeMap;
use std::io::BufRead;

use mendwright_core::change::{Action, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{
    ColumnInfo, CursorId, Future, Query, Refusal, RefusalKind, Row, RowChange, RowRemoval, Tables,
};
use serde_json::Value as Json;

use super::wishes::Wishes;
use super::{Line, arguments, digest, rows, rows_or_none};

type Place = (String, String);

/// The recorded answers by call and arguments.
#[derive(Default)]
pub(super) struct Trial {
    answers: BTreeMap<Place, Vec<Line>>,
    asked: BTreeMap<Place, usize>,
    /// Recorded cursor → its pages.
    pages: BTreeMap<u32, Vec<Line>>,
    /// Open scan → recorded cursor and the next page.
    open: BTreeMap<u32, (u32, usize)>,
    opened: u32,
    pub(super) wishes: Wishes,
}

impl Trial {
    /// Reads the calls of a recording; lines that are none are left out, and are missed if asked for.
    pub(super) fn of(calls: impl BufRead) -> Self {
        let mut trial = Self::default();
        let mut cursors: BTreeMap<String, u32> = BTreeMap::new();
        let lines = calls.lines().map_while(Result::ok).skip(1);
        for line in lines.filter_map(|text| serde_json::from_str::<Line>(&text).ok()) {
            if line.call == "next-page" {
                if let Some(cursor) = cursors.get(&line.arguments) {
                    trial.pages.entry(*cursor).or_default().push(line);
                }
                continue;
            }
            if let (true, Some(cursor)) = (line.call == "scan", cursor_of(&line.answer)) {
                cursors.insert(digest(&arguments::cursor(CursorId(cursor))), cursor);
            }
            trial.answers.entry((line.call.clone(), line.arguments.clone())).or_default().push(line);
        }
        trial
    }

    /// The answer to a read: the next of its kind, and the last one again.
    fn answer(&mut self, call: &str, arguments: &Json, what: &str) -> Result<Json, Refusal> {
        let place = (call.to_owned(), digest(arguments));
        let Some(lines) = self.answers.get(&place) else { return Err(missing(what)) };
        let n = self.asked.entry(place).or_default();
        let line = lines.get(*n).or_else(|| lines.last());
        *n += 1;
        match line {
            Some(Line { refusal: Some(refusal), .. }) => Err(refusal.clone()),
            Some(line) => Ok(line.answer.clone()),
            None => Err(missing(what)),
        }
    }

    fn page(&mut self, cursor: CursorId) -> Result<Vec<Row>, Refusal> {
        let what = "reads a scan further";
        let Some((recorded, next)) = self.open.get_mut(&cursor.0) else { return Err(missing(what)) };
        let pages = self.pages.get(recorded).map_or(&[][..], Vec::as_slice);
        let line = pages.get(*next);
        *next += 1;
        // The end of a scan stays its end.
        let line = line.or_else(|| pages.last().filter(|line| line.answer.as_array().is_some_and(Vec::is_empty)));
        match line {
            Some(Line { refusal: Some(refusal), .. }) => Err(refusal.clone()),
            Some(line) => rows(line.answer.clone()).ok_or_else(|| missing(what)),
            None => Err(missing(what)),
        }
    }

    /// A write is accepted unless the same one was refused.
    fn write(&mut self, call: &str, arguments: &Json) -> Result<(), Refusal> {
        let place = (call.to_owned(), digest(arguments));
        match self.answers.get(&place).and_then(|lines| lines.first()).and_then(|line| line.refusal.clone()) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }
}

fn cursor_of(answer: &Json) -> Option<u32> {
    u32::try_from(answer.as_u64()?).ok()
}

fn missing(what: &str) -> Refusal {
    let message = format!("the component {what}, which the recorded run did not");
    Refusal::new(RefusalKind::Drifted, Code::ReplayDiverged, message)
}

fn ready<'a, T: Send + 'a>(value: T) -> Future<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Tables for Trial {
    fn describe<'a>(&'a mut self, table: &'a str) -> Future<'a, Result<Vec<ColumnInfo>, Refusal>> {
        let what = format!("asks what `{table}` is");
        let found = self.answer("describe", &arguments::describe(table), &what);
        ready(found.and_then(|answer| serde_json::from_value(answer).map_err(|_| missing(&what))))
    }

    fn get<'a>(
        &'a mut self,
        table: &'a str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Future<'a, Result<Vec<Option<Row>>, Refusal>> {
        let what = format!("reads {} of {} rows of `{table}` by their keys", columns.join(", "), keys.len());
        let found = self.answer("get", &arguments::get(table, &keys, &columns), &what);
        ready(found.and_then(|answer| rows_or_none(answer).ok_or_else(|| missing(&what))))
    }

    fn scan(&mut self, query: Query) -> Future<'_, Result<CursorId, Refusal>> {
        let what = format!("scans `{}` for {}", query.table, query.columns.join(", "));
        let found = self.answer("scan", &arguments::scan(&query), &what);
        let opened = found.and_then(|answer| {
            let recorded = cursor_of(&answer).ok_or_else(|| missing(&what))?;
            self.opened += 1;
            self.open.insert(self.opened, (recorded, 0));
            Ok(CursorId(self.opened))
        });
        ready(opened)
    }

    fn next_page(&mut self, cursor: CursorId) -> Future<'_, Result<Vec<Row>, Refusal>> {
        ready(self.page(cursor))
    }

    fn close(&mut self, cursor: CursorId) {
        self.open.remove(&cursor.0);
    }

    fn insert<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        let written = self.write("insert", &arguments::changes(table, &rows));
        if written.is_ok() {
            self.wishes.change(Action::Insert, table, &rows);
        }
        ready(written)
    }

    fn update<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        let written = self.write("update", &arguments::changes(table, &rows));
        if written.is_ok() {
            self.wishes.change(Action::Update, table, &rows);
        }
        ready(written)
    }

    fn delete<'a>(&'a mut self, table: &'a str, rows: Vec<RowRemoval>) -> Future<'a, Result<(), Refusal>> {
        let written = self.write("delete", &arguments::removals(table, &rows));
        if written.is_ok() {
            self.wishes.remove(table, &rows);
        }
        ready(written)
    }
}
