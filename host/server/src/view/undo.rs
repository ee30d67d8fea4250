//! What an undo would restore, and what it would leave, because somebody changed it since.

use mendwright_core::change::Action;
use mendwright_core::plan::document::Cell;
use mendwright_core::plan::header::Digest;
use mendwright_core::run::State;

use crate::view::cell::ColumnKind;
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe, shorten};
use crate::view::next::{Next, next};
use crate::view::number::{When, count, counted};
use crate::view::plan::ROWS_MAX;

/// Hex digits of the undo's digest that a person types.
const CONFIRM_DIGITS: usize = 8;

/// A value longer than this is shortened unless somebody asks for all.
const VALUE_COLUMNS_MAX: usize = 28;

/// What an undo would do.
#[derive(Clone, Debug)]
pub struct UndoPreview {
    /// The run that would be undone.
    pub number: u64,
    /// Its state.
    pub state: State,
    /// RFC 3339: when it got there.
    pub ended_at: String,
    /// RFC 3339: now; empty for the day on which the run ended.
    pub now: String,
    /// How many changes the run made.
    pub changes: u64,
    /// How many would be restored.
    pub restores: u64,
    /// How many somebody has changed since.
    pub conflicts: u64,
    /// The rows, conflicts first if not all are given. [`ROWS_MAX`] are shown.
    pub rows: Vec<UndoRow>,
    /// What is confirmed.
    pub digest: Digest,
    /// What policy says is missing before it may be done so.
    pub lacks: Vec<String>,
    /// What to type next.
    pub next: Vec<Next>,
}

/// One row of an undo.
#[derive(Clone, Debug)]
pub struct UndoRow {
    /// The resource.
    pub resource: String,
    /// The key, for people.
    pub key: String,
    /// What the run did to the row; the undo does the opposite.
    pub action: Action,
    /// Why the row stays as it is; `None` where it is restored.
    pub conflict: Option<String>,
    /// The columns that the run wrote.
    pub cells: Vec<UndoCell>,
}

/// One column of a row of an undo.
#[derive(Clone, Debug)]
pub struct UndoCell {
    /// The column.
    pub column: String,
    /// Its kind as documents write it: `decimal(10,2) USD`.
    pub kind: String,
    /// What the run wrote; `None` where it deleted the row.
    pub wrote: Option<Cell>,
    /// What stands there now; `None` where the row is gone.
    pub now: Option<Cell>,
    /// What stood there before the run; `None` where it inserted the row.
    pub before: Option<Cell>,
}

/// The preview.
#[must_use]
pub fn undo(look: Look, preview: &UndoPreview, full: bool) -> String {
    let now = if preview.now.is_empty() { &preview.ended_at } else { &preview.now };
    let at = When { at: &preview.ended_at, now }.to_second();
    let conflicts = match preview.conflicts {
        0 => String::new(),
        n => format!(", {}", counted(n, "conflict")),
    };
    let title = format!(
        "Rollback of #{} ({} {}, {}): {} restore{conflicts}",
        preview.number,
        preview.state.word().replace('_', " "),
        at.trim_end_matches(" UTC"),
        counted(preview.changes, "change"),
        count(preview.restores),
    );
    let mut out = format!("{}\n", look.paint(Ink::Bold, &title));
    let shown = if full { usize::MAX } else { ROWS_MAX };
    let rows: Vec<&UndoRow> = preview.rows.iter().take(shown).collect();
    out.push_str(&grid(&rows, full).render(look, !full));
    let listed = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let all = preview.restores + preview.conflicts;
    if all > listed {
        out.push_str(&format!("  … {} more\n", count(all - listed)));
    }
    for lack in &preview.lacks {
        out.push_str(&format!("  {}\n", look.paint(Ink::Yellow, &format!("missing  {}", safe(lack)))));
    }
    if !preview.next.is_empty() {
        out.push('\n');
        out.push_str(&next(look, &preview.next));
    }
    out
}

/// `Type the first 8 digits of the digest (41c9e07a…) to restore 5 and leave 1: `
#[must_use]
pub fn undo_confirm(preview: &UndoPreview) -> String {
    let hex = preview.digest.hex();
    let digits = hex.get(..CONFIRM_DIGITS).unwrap_or(&hex);
    let leave = match preview.conflicts {
        0 => String::new(),
        n => format!(" and leave {}", count(n)),
    };
    format!(
        "Type the first {CONFIRM_DIGITS} digits of the digest ({digits}…) to restore {}{leave}: ",
        count(preview.restores)
    )
}

fn grid(rows: &[&UndoRow], full: bool) -> Grid {
    let several = rows.iter().any(|r| rows.first().is_some_and(|first| first.resource != r.resource));
    let numeric = rows.iter().all(|r| r.key.parse::<i64>().is_ok());
    let mut grid = Grid::default().column("", Align::Left, 2);
    if several {
        grid = grid.column("", Align::Left, 1);
    }
    grid = grid
        .column("", if numeric { Align::Right } else { Align::Left }, 2)
        .column("", Align::Left, 3)
        .column("", Align::Left, 3)
        .column("", Align::Left, 5);
    for row in rows {
        let mut begun = Some(beginning(row, several));
        let mut said = Some(row.conflict.as_ref().map(|c| Item::inked(safe(c), Ink::Yellow)).unwrap_or_default());
        for cell in &row.cells {
            let mut items = begun.take().unwrap_or_else(|| vec![Item::empty(); if several { 3 } else { 2 }]);
            items.extend([
                Item::new(safe(&cell.column)),
                Item::new(values(cell, row.conflict.is_some(), full)),
                said.take().unwrap_or_default(),
            ]);
            grid.row(items);
        }
        if let Some(mut items) = begun {
            items.extend([Item::empty(), Item::empty(), said.unwrap_or_default()]);
            grid.row(items);
        }
    }
    grid
}

fn beginning(row: &UndoRow, several: bool) -> Vec<Item> {
    let (sign, ink) = match (&row.conflict, row.action) {
        (Some(_), _) => ("⚡", Ink::Yellow),
        // What the run inserted disappears again, what it deleted comes back.
        (None, Action::Insert) => ("-", Ink::Red),
        (None, Action::Update) => ("~", Ink::Yellow),
        (None, Action::Delete) => ("+", Ink::Green),
    };
    let mut items = vec![Item::inked(sign, ink)];
    if several {
        items.push(Item::new(safe(&row.resource)));
    }
    items.push(Item::new(safe(&row.key)));
    items
}

fn values(cell: &UndoCell, conflict: bool, full: bool) -> String {
    let (kind, _) = cell.kind.split_once(' ').unwrap_or((&cell.kind, ""));
    let kind = ColumnKind { kind: kind.parse().ok(), currency: String::new() };
    let show = |value: Option<&Cell>| match value {
        None => "no row".to_owned(),
        Some(_) if full => kind.show(value).text,
        Some(_) => shorten(&kind.show(value).text, VALUE_COLUMNS_MAX),
    };
    let (wrote, now, before) = (show(cell.wrote.as_ref()), show(cell.now.as_ref()), show(cell.before.as_ref()));
    if conflict {
        format!("we wrote {wrote} · now {now} · before us {before}")
    } else {
        format!("{now} → {before}")
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::view::sample::{masked, plain};

    const CONFLICT: &str = "changed since; stays unless you say otherwise";

    fn cell(column: &str, kind: &str, wrote: Option<Cell>, now: Option<Cell>, before: Option<Cell>) -> UndoCell {
        UndoCell { column: column.into(), kind: kind.into(), wrote, now, before }
    }

    fn total(wrote: &str, now: &str, before: &str) -> UndoCell {
        cell("total", "decimal(10,2) USD", Some(plain(wrote)), Some(plain(now)), Some(plain(before)))
    }

    fn row(key: &str, action: Action, conflict: Option<&str>, cells: Vec<UndoCell>) -> UndoRow {
        UndoRow { resource: "invoices".into(), key: key.into(), action, conflict: conflict.map(str::to_owned), cells }
    }

    fn preview(restores: u64, conflicts: u64, rows: Vec<UndoRow>) -> UndoPreview {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&[0x41, 0xc9, 0xe0, 0x7a]);
        UndoPreview {
            number: 1043,
            state: State::Succeeded,
            ended_at: "2026-11-20T03:20:44Z".into(),
            now: String::new(),
            changes: 6,
            restores,
            conflicts,
            rows,
            digest: Digest(digest),
            lacks: Vec::new(),
            next: Vec::new(),
        }
    }

    #[test]
    fn the_undo_of_the_examples_looks_as_it_does_there() {
        let rows = vec![
            row("6", Action::Update, None, vec![total("0.99", "0.99", "9.9")]),
            row("12", Action::Update, Some(CONFLICT), vec![total("13.86", "15", "0")]),
        ];
        let preview = preview(5, 1, rows);
        assert_snapshot!(format!("{}{}", undo(Look::PLAIN, &preview, false), undo_confirm(&preview)));
    }

    #[test]
    fn what_is_missing_is_said_before_what_to_type() {
        let preview = UndoPreview {
            lacks: vec!["1 more approval by the role approver, not by person:alice who asked for it".into()],
            next: vec![Next::new("mendwright run approve 1043 --undo", "for somebody else")],
            ..preview(5, 1, vec![row("12", Action::Update, Some(CONFLICT), vec![total("13.86", "15", "0")])])
        };
        assert_snapshot!(undo(Look::PLAIN, &preview, false));
    }

    #[test]
    fn inserts_go_deletes_come_back_and_masks_stay() {
        let mut other = row("9", Action::Delete, None, vec![cell("iban", "text", None, None, Some(masked("ab12")))]);
        other.resource = "people".into();
        let rows = vec![
            row("7", Action::Insert, None, vec![total("1", "1", "1")]),
            other,
            row(
                "8",
                Action::Update,
                Some("the row is gone; stays as it is"),
                vec![cell("note", "text", Some(plain("a\nb")), None, Some(Cell::Plain(None))), total("1", "1", "2")],
            ),
        ];
        let preview = UndoPreview {
            now: "2026-11-21T03:20:44Z".into(),
            next: vec![Next::new("mendwright undo 1043 --sql", "the same as SQL")],
            ..preview(2, 1, rows)
        };
        assert_snapshot!(undo(Look::PLAIN, &preview, true));
    }

    #[test]
    fn an_undo_without_conflicts_does_not_speak_of_them() {
        let preview = preview(6, 0, Vec::new());
        assert_snapshot!(format!("{}{}", undo(Look::PLAIN, &preview, false), undo_confirm(&preview)));
    }
}
