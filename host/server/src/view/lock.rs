//! Locks: who holds which, and who waits.

use crate::api::lock::LocksBody;
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::When;

/// `lock list`. `now` is RFC 3339.
#[must_use]
pub fn lock_list(look: Look, found: &LocksBody, now: &str) -> String {
    let mut out = String::new();
    if found.held.is_empty() && found.waiting.is_empty() {
        out.push_str("Nobody holds a lock, and nobody waits for one.\n");
    } else {
        out.push_str(&grid(look, found, now));
    }
    for one in &found.unknown {
        let line = format!("{} did not say: {}", safe(&one.database), safe(&one.why));
        out.push_str(&format!("{}\n", look.paint(Ink::Red, &line)));
    }
    let first = found.held.iter().find_map(|held| held.number);
    if let Some(number) = first {
        let why = "what it does, until nobody works on it";
        out.push_str(&format!("\n{}", next(look, &[Next::new(format!("mendwright run watch {number}"), why)])));
    }
    out
}

fn grid(look: Look, found: &LocksBody, now: &str) -> String {
    let mut grid = Grid::default()
        .column("database", Align::Left, 0)
        .column("tenant", Align::Left, 3)
        .column("table", Align::Left, 3)
        .column("run", Align::Right, 3)
        .column("", Align::Left, 2)
        .column("since", Align::Left, 3);
    for held in &found.held {
        let (words, ink) = match held.is_alive {
            true => (format!("holds it (attempt {})", held.attempt), Ink::Plain),
            false => (format!("left it (attempt {} is gone); the next run takes it", held.attempt), Ink::Red),
        };
        grid.row(vec![
            Item::new(safe(&held.database)),
            Item::new(safe(&held.tenant)),
            Item::new(held.table.as_deref().map_or("its plan's".to_owned(), safe)),
            Item::inked(run(held.number, &held.run), Ink::Bold),
            Item::inked(words, ink),
            Item::new(When { at: &held.since, now }.to_second()),
        ]);
    }
    for waiting in &found.waiting {
        let words = if waiting.r#where == "target" { "waits in the database" } else { "waits for a worker" };
        grid.row(vec![
            Item::new(safe(&waiting.database)),
            Item::new(waiting.tenant.as_deref().map(safe).unwrap_or_default()),
            Item::empty(),
            Item::inked(run(waiting.number, &waiting.run), Ink::Bold),
            Item::inked(words, Ink::Dim),
            Item::new(When { at: &waiting.since, now }.to_second()),
        ]);
    }
    grid.render(look, false)
}

fn run(number: Option<u64>, id: &str) -> String {
    number.map_or_else(|| safe(id), |number| format!("#{number}"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::api::lock::{HeldBody, UnknownBody, WaitingBody};

    const NOW: &str = "2026-11-20T03:12:09.000000Z";

    #[test]
    fn locks_say_who_holds_and_who_waits() {
        let text = |text: &str| text.to_owned();
        let held = |table: Option<&str>, number, is_alive| HeldBody {
            database: text("chinook"),
            tenant: text("Germany"),
            table: table.map(text),
            number,
            run: text("run_018f"),
            attempt: 2,
            since: text(NOW),
            is_alive,
        };
        let waits = |number: Option<u64>, place: &str| WaitingBody {
            database: text("chinook"),
            tenant: number.map(|_| text("Germany")),
            number,
            run: text("run_0190"),
            since: text(NOW),
            r#where: text(place),
        };
        let all = vec![held(Some("invoice"), Some(7), true), held(None, None, false)];
        let waiting = vec![waits(Some(8), "target"), waits(None, "host")];
        let unknown = vec![UnknownBody { database: text("crm"), why: text("it does not answer") }];
        assert_snapshot!("list", lock_list(Look::PLAIN, &LocksBody::new(all, waiting, unknown), NOW));
        assert_snapshot!("quiet", lock_list(Look::PLAIN, &LocksBody::new(vec![], vec![], vec![]), NOW));
    }
}
