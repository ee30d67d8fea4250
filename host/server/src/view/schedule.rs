//! Schedules: when they fire, and what they fired.

use mendwright_core::run::State;

use crate::api::schedule::ScheduleBody;
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::number::When;
use crate::view::run::{ink, state_words};

/// Later than this, a firing was made up for: a host looks every second.
const LATE_US: i64 = 60_000_000;

/// `schedule list`. `now` is RFC 3339.
#[must_use]
pub fn schedule_list(look: Look, all: &[ScheduleBody], now: &str) -> String {
    if all.is_empty() {
        return "Nothing is planned by the clock: the configuration has no [schedule.NAME].\n".to_owned();
    }
    let mut out = String::new();
    for (n, one) in all.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let title =
            format!("{} · {} · {} ({})", safe(&one.name), safe(&one.job), safe(&one.cron), safe(&one.time_zone));
        let ends = if one.until == "apply" { "ends at its apply, where policy allows" } else { "ends at a plan" };
        out.push_str(&format!("{} · {ends}\n", look.paint(Ink::Bold, &title)));
        let when = |at: &Option<String>| at.as_ref().map_or("never".to_owned(), |at| When { at, now }.to_second());
        out.push_str(&look.parts("next", &[when(&one.next)], ""));
        let mut last = vec![when(&one.last)];
        if let Some((at, begun)) = one.last.as_ref().zip(one.last_begun_at.as_ref())
            && is_late(at, begun)
        {
            last.push(format!("made up for at {}", When { at: begun, now }.to_second()));
        }
        if !one.note.is_empty() {
            last.push(safe(&one.note));
        }
        out.push_str(&look.parts("last", &last, " · "));
        out.push_str(&runs(look, one));
    }
    out
}

fn is_late(at: &str, begun: &str) -> bool {
    let us = crate::engine::time::from_rfc3339;
    us(at).zip(us(begun)).is_some_and(|(at, begun)| begun.saturating_sub(at) > LATE_US)
}

fn runs(look: Look, one: &ScheduleBody) -> String {
    let mut grid = Grid::default().column("", Align::Right, 2).column("", Align::Left, 3).column("", Align::Left, 3);
    for fired in &one.runs {
        let state = fired.state.parse::<State>();
        let (words, ink) = state.as_ref().map_or((safe(&fired.state), Ink::Plain), |s| (state_words(*s), ink(*s)));
        grid.row(vec![
            Item::inked(format!("#{}", fired.run), Ink::Bold),
            Item::new(safe(&fired.tenant)),
            Item::inked(words, ink),
        ]);
    }
    grid.render(look, false)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::api::schedule::FiredBody;

    #[test]
    fn a_schedule_says_what_it_fired_and_what_was_made_up_for() {
        let text = |text: &str| text.to_owned();
        let fired = |run, state: State| FiredBody { tenant: text("Germany"), run, state: text(state.word()) };
        let one = |last: Option<&str>, begun: Option<&str>, until: &str| ScheduleBody {
            name: text("nightly"),
            job: text("reconcile_invoices"),
            cron: text("0 3 * * *"),
            time_zone: text("Europe/Berlin"),
            until: text(until),
            next: Some(text("2026-11-21T02:00:00.000000Z")),
            last: last.map(text),
            last_begun_at: begun.map(text),
            note: if last.is_some() { text("France: there is no such job") } else { String::new() },
            runs: if last.is_some() {
                vec![fired(7, State::AwaitingApproval), fired(8, State::NothingToDo)]
            } else {
                vec![]
            },
        };
        let late = one(Some("2026-11-20T02:00:00.000000Z"), Some("2026-11-20T07:12:00.000000Z"), "plan");
        let all = [late, one(None, None, "apply")];
        assert_snapshot!("list", schedule_list(Look::PLAIN, &all, "2026-11-20T08:12:09.000000Z"));
        assert!(schedule_list(Look::PLAIN, &[], "").contains("[schedule.NAME]"));
    }
}
