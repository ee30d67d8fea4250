//! Many runs undone at once: what would be, and where it stands.

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;

use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::counted;

/// Hex digits of the digest that are asked for.
const DIGITS: usize = 8;

/// What became of one of the runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its turn has not come.
    Waits,
    /// Nothing of it can be restored.
    Left,
    /// It is undone.
    Undone,
    /// It cannot be undone, or could not; nothing after it was tried.
    Stopped(Code, String),
}

impl Fate {
    /// For programs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Left => "left",
            Self::Undone => "undone",
            Self::Stopped(..) => "stopped",
        }
    }
}

/// One of the runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoLine {
    /// Its number.
    pub number: u64,
    /// Its job.
    pub job: String,
    /// Whose data.
    pub tenant: String,
    /// Rows that it restores in its turn.
    pub restores: usize,
    /// Of these, the ones that a newer run of the list wrote over.
    pub after: usize,
    /// Rows that somebody changed since.
    pub conflicts: usize,
    /// What became of it.
    pub fate: Fate,
}

/// Everything that was applied since some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoAll {
    /// `Applied in the last 1h`.
    pub title: String,
    /// The newest first.
    pub lines: Vec<UndoLine>,
    /// What a person confirms.
    pub digest: Digest,
    /// What to type next.
    pub next: Vec<Next>,
}

/// `undo --since`: the preview, and the page that says where it stands.
#[must_use]
pub fn undo_all(look: Look, all: &UndoAll) -> String {
    if all.lines.is_empty() {
        return format!("{}: no run that could be undone.\n", safe(&all.title));
    }
    let n = u64::try_from(all.lines.len()).unwrap_or(u64::MAX);
    let title = format!("{}: {}, the newest first", safe(&all.title), counted(n, "run"));
    let mut out = format!("{}\n\n", look.paint(Ink::Bold, &title));
    let mut grid = Grid::default()
        .column("run", Align::Right, 0)
        .column("job", Align::Left, 3)
        .column("tenant", Align::Left, 3)
        .column("restores", Align::Right, 3)
        .column("conflicts", Align::Right, 3)
        .column("", Align::Left, 3);
    for line in &all.lines {
        let (words, ink) = words(line);
        let conflicts = if line.conflicts > 0 { Ink::Yellow } else { Ink::Dim };
        grid.row(vec![
            Item::inked(format!("#{}", line.number), Ink::Bold),
            Item::new(safe(&line.job)),
            Item::new(safe(&line.tenant)),
            Item::new(line.restores.to_string()),
            Item::inked(line.conflicts.to_string(), conflicts),
            Item::inked(words, ink),
        ]);
    }
    out.push_str(&grid.render(look, false));
    out.push_str(&format!("\n{}\n", total(all)));
    if !all.next.is_empty() {
        out.push_str(&format!("\n{}", next(look, &all.next)));
    }
    out
}

fn words(line: &UndoLine) -> (String, Ink) {
    match &line.fate {
        Fate::Undone => ("✓ undone".to_owned(), Ink::Green),
        Fate::Stopped(code, message) => (format!("✗ {code}: {}", safe(message)), Ink::Red),
        Fate::Waits | Fate::Left if line.restores == 0 => ("stays: every row changed since".to_owned(), Ink::Yellow),
        Fate::Waits if line.after > 0 => (format!("{} of them once the newer ones are undone", line.after), Ink::Dim),
        Fate::Waits | Fate::Left => (String::new(), Ink::Plain),
    }
}

fn total(all: &UndoAll) -> String {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let undone: Vec<&UndoLine> = all.lines.iter().filter(|line| line.fate == Fate::Undone).collect();
    if undone.is_empty() {
        let restores: usize = all.lines.iter().map(|line| line.restores).sum();
        let conflicts: usize = all.lines.iter().map(|line| line.conflicts).sum();
        let digest = all.digest.hex();
        let digest: String = digest.chars().take(16).collect();
        return format!("{} would be restored, {conflicts} stay. Digest {digest}…", counted(count(restores), "row"));
    }
    let restored: usize = undone.iter().map(|line| line.restores).sum();
    let waits = all.lines.iter().filter(|line| line.fate == Fate::Waits).count();
    let rest = if waits == 0 { String::new() } else { format!(" {} not tried.", counted(count(waits), "run")) };
    format!("{} undone, {} restored.{rest}", counted(count(undone.len()), "run"), counted(count(restored), "row"))
}

/// The question before it.
#[must_use]
pub fn ask_all(digest: &Digest) -> String {
    let digits: String = digest.hex().chars().take(DIGITS).collect();
    format!("Type the first {DIGITS} digits of the digest ({digits}…) to undo all of it, the newest first: ")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn line(number: u64, restores: usize, after: usize, conflicts: usize, fate: Fate) -> UndoLine {
        let (job, tenant) = ("reconcile_invoices".to_owned(), "Germany".to_owned());
        UndoLine { number, job, tenant, restores, after, conflicts, fate }
    }

    #[test]
    fn a_preview_and_where_it_stands() {
        let stopped = Fate::Stopped(Code::RollbackConflict, "somebody changed a row".to_owned());
        let page = |lines| UndoAll {
            title: "Applied in the last 1h".to_owned(),
            lines,
            digest: Digest::of(b"x"),
            next: vec![Next::new("mendwright run show 8", "where it stopped")],
        };
        let before =
            page(vec![line(9, 6, 0, 0, Fate::Waits), line(8, 3, 2, 1, Fate::Waits), line(7, 0, 0, 4, Fate::Waits)]);
        assert_snapshot!("preview", undo_all(Look::PLAIN, &before));
        let after =
            page(vec![line(9, 6, 0, 0, Fate::Undone), line(8, 3, 2, 1, stopped), line(7, 2, 0, 0, Fate::Waits)]);
        assert_snapshot!("stopped", undo_all(Look::PLAIN, &after));
        assert_snapshot!("nothing", undo_all(Look::PLAIN, &page(vec![])));
    }
}
