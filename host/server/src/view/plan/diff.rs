//! What a plan would do to one resource: aligned, and never two different values that look the same.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::change::Action;
use mendwright_core::plan::document::{Cell, ChangeRecord, ResourceSummary};

use crate::view::cell::{ColumnKind, key_items, key_text};
use crate::view::grid::{Align, Grid, Item, halves};
use crate::view::look::{Ink, Look, safe, shorten, shorten_pair};
use crate::view::number::{count, parse, percent};
use crate::view::plan::{Options, ROWS_MAX};

/// A value longer than this is shortened unless somebody asks for all.
const VALUE_COLUMNS_MAX: usize = 28;

/// What a reason needs beside the columns; with less room the columns go below each other.
const REASON_COLUMNS_MIN: usize = 18;

pub(super) fn total(resource: &ResourceSummary) -> u64 {
    parse(&resource.inserts) + parse(&resource.updates) + parse(&resource.deletes)
}

/// The block of one resource: title, changes, what is left out, net effect.
pub(super) fn resource(
    look: Look,
    resource: &ResourceSummary,
    changes: &[ChangeRecord],
    options: &Options<'_>,
) -> String {
    let title = format!("{} · {}", safe(&resource.name), resource.class);
    let mut out = look.apart((Ink::Bold, &title), (Ink::Plain, &share(resource)));
    out.push_str("\n\n");
    let own = changes.iter().filter(|c| c.resource == resource.name);
    let wanted: Vec<&ChangeRecord> = own.filter(|c| is_wanted(c, resource, options)).collect();
    let shown_max = if options.full { usize::MAX } else { ROWS_MAX };
    let shown: Vec<&ChangeRecord> = wanted.iter().copied().take(shown_max).collect();
    out.push_str(&table(look, resource, &shown, options.full));
    out.push_str(&rest(resource, wanted.len(), shown.len(), options));
    out.push_str(&net(resource));
    out
}

/// `6 of 28 rows change (21.4 %)`.
fn share(resource: &ResourceSummary) -> String {
    let changed = parse(&resource.updates) + parse(&resource.deletes);
    let (rows, inserts) = (parse(&resource.rows_of_tenant), parse(&resource.inserts));
    let mut parts = Vec::new();
    if changed > 0 {
        let verb = match (parse(&resource.updates), parse(&resource.deletes), changed) {
            (0, _, 1) => "goes",
            (0, _, _) => "go",
            (_, 0, 1) => "changes",
            (_, 0, _) => "change",
            _ => "change or go",
        };
        parts.push(format!("{} of {} {} {verb}", count(changed), count(rows), if rows == 1 { "row" } else { "rows" }));
    }
    if inserts > 0 {
        let beside = if changed == 0 { format!(" beside {}", count(rows)) } else { String::new() };
        parts.push(format!("{} new{beside}", count(inserts)));
    }
    format!("{} ({})", parts.join(", "), percent(&resource.share))
}

fn is_wanted(change: &ChangeRecord, resource: &ResourceSummary, options: &Options<'_>) -> bool {
    let key = key_text(&change.key, &resource.key);
    let named =
        |only: &String| *only == key || only.strip_prefix(&resource.name).is_some_and(|k| k == format!("/{key}"));
    if !options.only.is_empty() && !options.only.iter().any(named) {
        return false;
    }
    let Some(needle) = options.grep else { return true };
    let needle = needle.to_lowercase();
    let cell = |(column, cell): (&String, &Cell)| match cell {
        Cell::Plain(Some(text)) => format!("{column}\n{text}"),
        Cell::Plain(None) => format!("{column}\nNULL"),
        Cell::Masked { .. } => column.clone(),
    };
    let cells = change.before.iter().chain(&change.after).map(cell);
    std::iter::once(key)
        .chain(std::iter::once(change.reason.clone()))
        .chain(cells)
        .any(|t| t.to_lowercase().contains(&needle))
}

/// `… 99,980 more: --full, --grep, --only`.
fn rest(resource: &ResourceSummary, wanted: usize, shown: usize, options: &Options<'_>) -> String {
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut out = String::new();
    if options.is_filter() {
        if wanted > shown {
            out.push_str(&format!("  … {} more that match: --full\n", count(wide(wanted - shown))));
        }
        out.push_str(&format!("  {} of {} changes match.\n", count(wide(wanted)), count(total(resource))));
    } else if total(resource) > wide(shown) {
        out.push_str(&format!("  … {} more: --full, --grep, --only\n", count(total(resource) - wide(shown))));
    }
    out
}

/// `Net effect on total: 149.26 → 157.47 USD (+8.21)`.
fn net(resource: &ResourceSummary) -> String {
    use mendwright_core::decimal::Decimal;

    use crate::view::number::{minus, rounded, signed};
    let mut out = String::new();
    for (column, net) in &resource.net {
        let kind = ColumnKind::of(&resource.columns, column);
        let round = |text: &str| match (text.parse::<Decimal>(), kind.scale()) {
            (Ok(number), Some(scale)) => rounded(&number, scale),
            _ => safe(text),
        };
        let unit = if kind.currency.is_empty() { String::new() } else { format!(" {}", safe(&kind.currency)) };
        out.push_str(&format!(
            "  Net effect on {}: {} → {}{unit} ({})\n",
            safe(column),
            minus(&round(&net.before)),
            minus(&round(&net.after)),
            signed(&round(&net.delta)),
        ));
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

fn table(look: Look, resource: &ResourceSummary, changes: &[&ChangeRecord], full: bool) -> String {
    let of = |action: Action| changes.iter().copied().filter(|c| c.action == action).collect::<Vec<_>>();
    let mut tables = Vec::new();
    for action in Action::ALL {
        let own = of(action);
        if own.is_empty() {
            continue;
        }
        let wide = match action {
            Action::Update => updates_beside(resource, &own, full),
            Action::Insert | Action::Delete => rows_beside(resource, &own, action, full),
        };
        let fits = wide.fixed_width() + REASON_COLUMNS_MIN <= look.line();
        let grid = if fits {
            wide
        } else {
            match action {
                Action::Update => updates_below(resource, &own, full),
                Action::Insert | Action::Delete => rows_below(resource, &own, action, full),
            }
        };
        tables.push(grid.render(look, !full));
    }
    tables.join("\n")
}

/// Sign and key columns, with which every table begins.
fn begin(resource: &ResourceSummary) -> Grid {
    let mut grid = Grid::default().column("", Align::Left, 2);
    for column in &resource.key {
        let align = if ColumnKind::of(&resource.columns, column).is_number() { Align::Right } else { Align::Left };
        grid = grid.column(safe(column), align, 2);
    }
    grid
}

fn sign(action: Action) -> Item {
    let ink = match action {
        Action::Insert => Ink::Green,
        Action::Update => Ink::Yellow,
        Action::Delete => Ink::Red,
    };
    Item::inked(action.sign().to_string(), ink)
}

fn beginning(change: &ChangeRecord, resource: &ResourceSummary) -> Vec<Item> {
    let mut items = vec![sign(change.action)];
    items.extend(key_items(&change.key, &resource.key));
    items.resize(resource.key.len() + 1, Item::empty());
    items
}

/// One column's way from before to after.
struct Step {
    before: Item,
    after: Item,
    delta: String,
    /// Said behind the reason where the delta hides something.
    note: Option<String>,
}

fn step(change: &ChangeRecord, column: &str, kind: &ColumnKind, full: bool) -> Option<Step> {
    let (before, after) = (change.before.get(column), change.after.get(column));
    if before == after {
        return None;
    }
    let (mut shown_before, mut shown_after) = (kind.show(before), kind.show(after));
    if before.is_none() {
        shown_before = Item::inked("?", Ink::Dim);
    }
    if !full {
        let (a, b) = shorten_pair(&shown_before.text, &shown_after.text, VALUE_COLUMNS_MAX);
        (shown_before.text, shown_after.text) = (a, b);
    }
    let (delta, hidden) = kind.delta(before, after).unwrap_or_default();
    let note = hidden.then(|| kind.kind.map_or_else(String::new, |k| format!("more digits than {k}")));
    Some(Step { before: shown_before, after: shown_after, delta, note })
}

fn changed_columns<'a>(changes: &[&'a ChangeRecord]) -> BTreeSet<&'a str> {
    let changed = |c: &&'a ChangeRecord| {
        let change: &'a ChangeRecord = c;
        change
            .after
            .iter()
            .filter(|(name, after)| change.before.get(*name) != Some(*after))
            .map(|(name, _)| name.as_str())
    };
    changes.iter().flat_map(changed).collect()
}

fn reason(change: &ChangeRecord, notes: Vec<String>) -> Item {
    let mut said = Vec::new();
    if !change.reason.is_empty() {
        said.push(safe(&change.reason));
    }
    said.extend(notes);
    Item::new(said.join("; "))
}

/// Each changed column a group of its own: before → after, delta.
fn updates_beside(resource: &ResourceSummary, changes: &[&ChangeRecord], full: bool) -> Grid {
    let columns: Vec<(&str, ColumnKind)> =
        changed_columns(changes).into_iter().map(|c| (c, ColumnKind::of(&resource.columns, c))).collect();
    let mut grid = begin(resource);
    for (name, kind) in &columns {
        grid = grid.column(safe(name), kind.align(), 3).column("", Align::Left, 2).column("", kind.align(), 2);
        if kind.is_decimal() {
            grid = grid.column("", Align::Point, 4);
        }
    }
    grid = grid.column("", Align::Left, 3);
    for change in changes {
        let mut items = beginning(change, resource);
        let mut notes = Vec::new();
        for (name, kind) in &columns {
            let found = change.after.contains_key(*name).then(|| step(change, name, kind, full)).flatten();
            let (mut cells, note) = found.map_or_else(
                || (vec![Item::empty(), Item::empty(), Item::empty(), Item::empty()], None),
                |s| (vec![s.before, Item::inked("→", Ink::Dim), s.after, Item::new(s.delta)], s.note),
            );
            cells.truncate(if kind.is_decimal() { 4 } else { 3 });
            items.extend(cells);
            notes.extend(note);
        }
        items.push(reason(change, notes));
        grid.row(items);
    }
    grid
}

/// Where the decimal point of each column stands, before and after, when columns stand below each other:
/// numbers of one column line up with each other, not with those of the next.
struct Points<'a>(BTreeMap<&'a str, (usize, usize)>);

impl<'a> Points<'a> {
    fn of(resource: &ResourceSummary, changes: &[&'a ChangeRecord], full: bool) -> Self {
        let mut points: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for change in changes {
            for name in change.after.keys() {
                let kind = ColumnKind::of(&resource.columns, name);
                if let Some(s) = kind.is_number().then(|| step(change, name, &kind, full)).flatten() {
                    let point = points.entry(name).or_default();
                    *point = (point.0.max(halves(&s.before.text).0), point.1.max(halves(&s.after.text).0));
                }
            }
        }
        Self(points)
    }

    fn align(&self, column: &str, step: &mut Step) {
        if let Some((before, after)) = self.0.get(column) {
            let indent =
                |text: &str, point: &usize| format!("{}{text}", " ".repeat(point.saturating_sub(halves(text).0)));
            step.before.text = indent(&step.before.text, before);
            step.after.text = indent(&step.after.text, after);
        }
    }
}

/// Each changed column a line of its own.
fn updates_below(resource: &ResourceSummary, changes: &[&ChangeRecord], full: bool) -> Grid {
    let mut grid = begin(resource)
        .column("column", Align::Left, 3)
        .column("before", Align::Left, 3)
        .column("", Align::Left, 2)
        .column("after", Align::Left, 2);
    let any_decimal = changed_columns(changes).into_iter().any(|c| ColumnKind::of(&resource.columns, c).is_decimal());
    if any_decimal {
        grid = grid.column("", Align::Point, 4);
    }
    grid = grid.column("", Align::Left, 3);
    let points = Points::of(resource, changes, full);
    for change in changes {
        let mut begun = Some(beginning(change, resource));
        let mut steps: Vec<(&String, Step)> = Vec::new();
        for name in change.after.keys() {
            let kind = ColumnKind::of(&resource.columns, name);
            steps.extend(step(change, name, &kind, full).map(|s| (name, s)));
        }
        let notes: Vec<String> =
            steps.iter().filter_map(|(name, s)| s.note.as_ref().map(|n| format!("{}: {n}", safe(name)))).collect();
        let mut said = Some(reason(change, notes));
        for (name, mut s) in steps {
            points.align(name, &mut s);
            let mut items = begun.take().unwrap_or_else(|| vec![Item::empty(); resource.key.len() + 1]);
            items.extend([Item::new(safe(name)), s.before, Item::inked("→", Ink::Dim), s.after]);
            if any_decimal {
                items.push(Item::new(s.delta));
            }
            items.push(said.take().unwrap_or_default());
            grid.row(items);
        }
    }
    grid
}

/// The cells of a row that appears or disappears, without the key, which stands before them.
fn cells_of(change: &ChangeRecord, action: Action) -> impl Iterator<Item = (&str, &Cell)> {
    let cells = match action {
        Action::Insert | Action::Update => &change.after,
        Action::Delete => &change.before,
    };
    cells.iter().filter(|(name, _)| !change.key.contains_key(*name)).map(|(name, cell)| (name.as_str(), cell))
}

fn show_whole(kind: &ColumnKind, cell: Option<&Cell>, full: bool) -> Item {
    let mut item = kind.show(cell);
    if !full {
        item.text = shorten(&item.text, VALUE_COLUMNS_MAX);
    }
    item
}

/// Rows that appear or disappear, one line each.
fn rows_beside(resource: &ResourceSummary, changes: &[&ChangeRecord], action: Action, full: bool) -> Grid {
    let names: BTreeSet<&str> = changes.iter().flat_map(|c| cells_of(c, action)).map(|(name, _)| name).collect();
    let columns: Vec<(&str, ColumnKind)> =
        names.into_iter().map(|c| (c, ColumnKind::of(&resource.columns, c))).collect();
    let mut grid = begin(resource);
    for (name, kind) in &columns {
        grid = grid.column(safe(name), kind.align(), 3);
    }
    grid = grid.column("", Align::Left, 3);
    for change in changes {
        let mut items = beginning(change, resource);
        let cell = |name: &str| cells_of(change, action).find(|(own, _)| *own == name).map(|(_, cell)| cell);
        items.extend(columns.iter().map(|(name, kind)| show_whole(kind, cell(name), full)));
        items.push(reason(change, Vec::new()));
        grid.row(items);
    }
    grid
}

/// Rows that appear or disappear, one line for each cell.
fn rows_below(resource: &ResourceSummary, changes: &[&ChangeRecord], action: Action, full: bool) -> Grid {
    let value = if action == Action::Insert { "new value" } else { "value lost" };
    let mut grid =
        begin(resource).column("column", Align::Left, 3).column(value, Align::Left, 3).column("", Align::Left, 3);
    for change in changes {
        let mut begun = Some(beginning(change, resource));
        let mut said = Some(reason(change, Vec::new()));
        for (name, cell) in cells_of(change, action) {
            let mut items = begun.take().unwrap_or_else(|| vec![Item::empty(); resource.key.len() + 1]);
            let kind = ColumnKind::of(&resource.columns, name);
            items.extend([Item::new(safe(name)), show_whole(&kind, Some(cell), full), said.take().unwrap_or_default()]);
            grid.row(items);
        }
    }
    grid
}
