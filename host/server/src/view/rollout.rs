//! Rollouts: the list, one of them, and what happens to it.

use mendwright_core::rollout::State;
use mendwright_core::run::State as RunState;

use crate::api::rollout::{RolloutBody, RolloutEventBody};
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::{When, counted};
use crate::view::run::{ink, state_words};

/// Tenants that are shown unless somebody asks for all: those whose turn it is come first.
const TENANTS_MAX: usize = 40;

fn state_ink(state: &str) -> Ink {
    match state.parse::<State>() {
        Ok(State::Running) => Ink::Bold,
        Ok(State::Paused) => Ink::Red,
        Ok(State::Done) => Ink::Green,
        Ok(State::Cancelled | State::Undone) | Err(_) => Ink::Dim,
    }
}

/// `rollout list`. `now` is RFC 3339.
#[must_use]
pub fn rollout_list(look: Look, all: &[RolloutBody], now: &str) -> String {
    if all.is_empty() {
        let start = Next::new("mendwright rollout start JOB --waves 5,20%,50%,100%", "from a few tenants to all");
        return format!("No rollout was begun.\n\n{}", next(look, &[start]));
    }
    let mut grid = Grid::default()
        .column("rollout", Align::Right, 0)
        .column("state", Align::Left, 2)
        .column("job", Align::Left, 3)
        .column("wave", Align::Left, 3)
        .column("ended", Align::Left, 3)
        .column("begun", Align::Left, 3)
        .column("by", Align::Left, 3)
        .column("because", Align::Left, 3);
    for one in all {
        grid.row(vec![
            Item::inked(one.number.to_string(), Ink::Bold),
            Item::inked(safe(&one.state), state_ink(&one.state)),
            Item::new(safe(&one.job)),
            Item::new(format!("{} of {}", one.wave, waves(one))),
            Item::new(format!("{} of {}", one.tally.ended, one.tenants_total)),
            Item::new(When { at: &one.created_at, now }.to_minute()),
            Item::new(person(&one.started_by)),
            Item::new(safe(&one.because)),
        ]);
    }
    grid.render(look, false)
}

fn waves(one: &RolloutBody) -> usize {
    one.waves.split(',').count()
}

fn person(who: &str) -> String {
    safe(who.trim_start_matches("person:"))
}

/// `rollout show`. `now` is RFC 3339.
#[must_use]
pub fn rollout_show(look: Look, one: &RolloutBody, full: bool, now: &str) -> String {
    let title = format!("rollout {} · {} · {}", one.number, safe(&one.job), safe(&one.state));
    let because = if one.because.is_empty() { String::new() } else { format!(" ({})", safe(&one.because)) };
    let mut out = format!("{}{because}\n", look.paint(state_ink(&one.state), &title));
    let t = &one.tally;
    let place = format!("{} of {} ({})", one.wave, waves(one), safe(&one.waves));
    out.push_str(&look.parts("wave", &[place], ""));
    let ended = format!("{} of {}", t.ended, counted(one.tenants_total, "tenant"));
    let wrong =
        [counted(t.rollbacks, "rollback"), counted(t.failures, "failure"), counted(t.refusals, "refusal")].join(", ");
    out.push_str(&look.parts("ended", &[ended, wrong], " · "));
    out.push_str(&look.parts("stops if", &[safe(&one.stop_if)], ""));
    let begun = format!("{}, by {}", When { at: &one.created_at, now }.to_minute(), person(&one.started_by));
    out.push_str(&look.parts("begun", &[begun], ""));
    out.push('\n');
    out.push_str(&tenants(look, one, full));
    if !one.events.is_empty() {
        out.push('\n');
        for event in &one.events {
            out.push_str(&event_line(look, event, now));
        }
    }
    let hints = hints(one);
    if !hints.is_empty() {
        out.push_str(&format!("\n{}", next(look, &hints)));
    }
    out
}

fn tenants(look: Look, one: &RolloutBody, full: bool) -> String {
    let mut grid = Grid::default()
        .column("wave", Align::Right, 0)
        .column("tenant", Align::Left, 2)
        .column("run", Align::Right, 3)
        .column("state", Align::Left, 2)
        .column("waits for", Align::Left, 3);
    let mut seats: Vec<_> = one.tenants.iter().collect();
    if !full && seats.len() > TENANTS_MAX {
        // What somebody has to look at is not among those left out.
        seats.sort_by_key(|seat| (seat.waits_for.is_none() && seat.code.is_none(), seat.run.is_none(), seat.wave));
    }
    for seat in seats.iter().take(if full { usize::MAX } else { TENANTS_MAX }) {
        let state = seat.state.as_deref().and_then(|state| state.parse::<RunState>().ok());
        let (words, ink) = state.map_or((String::new(), Ink::Plain), |state| (state_words(state), ink(state)));
        let detail = match (&seat.waits_for, seat.code) {
            (Some(waits), _) => Item::inked(safe(waits), Ink::Dim),
            (None, Some(code)) => {
                let message = seat.message.as_deref().map(safe).unwrap_or_default();
                Item::inked(format!("{code}: {message}"), Ink::Red)
            }
            (None, None) => Item::empty(),
        };
        grid.row(vec![
            Item::new(seat.wave.to_string()),
            Item::inked(safe(&seat.tenant), Ink::Bold),
            Item::new(seat.run.map_or_else(String::new, |run| format!("#{run}"))),
            Item::inked(words, ink),
            detail,
        ]);
    }
    let mut out = grid.render(look, false);
    if !full && one.tenants.len() > TENANTS_MAX {
        out.push_str(&format!("… {} more: --full\n", one.tenants.len() - TENANTS_MAX));
    }
    out
}

/// One line of a rollout that is watched.
#[must_use]
pub fn event_line(look: Look, event: &RolloutEventBody, now: &str) -> String {
    let at = When { at: &event.at, now }.to_second();
    let what = match event.event.as_str() {
        "WaveEnded" => "a wave ended; the next one begins",
        "LastWaveEnded" => "the last wave ended",
        "RuleBit" => "stopped by itself",
        "PersonPaused" => "paused",
        "PersonResumed" => "goes on; what went wrong before is seen",
        "PersonCancelled" => "called off",
        "PersonUndid" => "undone",
        other => other,
    };
    let mut detail = vec![];
    if !event.because.is_empty() {
        detail.push(safe(&event.because));
    }
    if event.by != "host" {
        detail.push(format!("by {}", person(&event.by)));
    }
    let detail =
        if detail.is_empty() { String::new() } else { format!("  {}", look.paint(Ink::Dim, &detail.join(", "))) };
    format!("{}  {}{detail}\n", look.paint(Ink::Dim, at.trim_end_matches(" UTC")), safe(what))
}

fn hints(one: &RolloutBody) -> Vec<Next> {
    let n = one.number;
    let waits = one.tenants.iter().find(|seat| seat.state.as_deref() == Some(RunState::AwaitingApproval.word()));
    let approve = waits.and_then(|seat| seat.run).map(|run| {
        Next::new(
            format!("mendwright run approve {run}"),
            "for somebody who may, with their own key; each plan by itself",
        )
    });
    let rest = match one.state.parse::<State>() {
        Ok(State::Running) => vec![Next::new(format!("mendwright rollout watch {n}"), "what happens to it")],
        Ok(State::Paused) => vec![
            Next::new(format!("mendwright rollout resume {n} --reason …"), "goes on"),
            Next::new(format!("mendwright rollout undo {n} --preview"), "what taking it back would restore"),
        ],
        Ok(State::Done | State::Cancelled) => {
            vec![Next::new(format!("mendwright rollout undo {n} --preview"), "what taking it back would restore")]
        }
        Ok(State::Undone) | Err(_) => vec![],
    };
    approve.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use mendwright_core::code::Code;

    use super::*;
    use crate::api::rollout::{SeatBody, TallyBody};

    const NOW: &str = "2026-11-20T03:12:09.000000Z";

    fn seat(tenant: &str, wave: u64, run: Option<(u64, RunState)>, waits_for: Option<&str>) -> SeatBody {
        let went_wrong = run.is_some_and(|(_, state)| state == RunState::RolledBack);
        SeatBody {
            tenant: tenant.to_owned(),
            wave,
            run: run.map(|run| run.0),
            state: run.map(|run| run.1.word().to_owned()),
            waits_for: waits_for.map(ToOwned::to_owned),
            code: went_wrong.then_some(Code::VerifyFailed),
            message: went_wrong.then(|| "a row did not hold".to_owned()),
        }
    }

    fn rollout(state: State) -> RolloutBody {
        let text = |text: &str| text.to_owned();
        RolloutBody {
            format_version: text("1.0"),
            number: 3,
            job: text("reconcile_invoices"),
            state: text(state.word()),
            wave: 1,
            waves: text("2,100%"),
            stop_if: text("rollbacks > 2%"),
            started_by: text("person:alice"),
            because: text(if state == State::Paused { "rollbacks > 2%" } else { "" }),
            created_at: text(NOW),
            updated_at: text(NOW),
            tenants_total: 3,
            tally: TallyBody { ended: 1, rollbacks: 1, failures: 0, refusals: 0 },
            tenants: vec![
                seat("Poland", 1, Some((7, RunState::RolledBack)), None),
                seat("Den\u{202e}mark", 1, Some((8, RunState::AwaitingApproval)), Some("people to approve it")),
                seat("USA", 2, None, Some("its turn")),
            ],
            events: vec![RolloutEventBody {
                seq: 1,
                at: text(NOW),
                event: text("RuleBit"),
                to: text("paused"),
                by: text("host"),
                because: text("rollbacks > 2%"),
            }],
        }
    }

    #[test]
    fn a_rollout_says_what_it_waits_for_and_why_it_stopped() {
        assert_snapshot!("paused", rollout_show(Look::PLAIN, &rollout(State::Paused), false, NOW));
        assert_snapshot!("running", rollout_show(Look::PLAIN, &rollout(State::Running), false, NOW));
        assert_snapshot!("list", rollout_list(Look::PLAIN, &[rollout(State::Running), rollout(State::Paused)], NOW));
        assert_snapshot!("none", rollout_list(Look::PLAIN, &[], NOW));
    }

    #[test]
    fn of_many_tenants_those_that_need_somebody_are_shown() {
        let mut many = rollout(State::Running);
        let well = |n| seat(&format!("t{n}"), 1, Some((n, RunState::Succeeded)), None);
        many.tenants = (100..200).map(well).chain(many.tenants).collect();
        let shown = rollout_show(Look::PLAIN, &many, false, NOW);
        assert!(shown.contains("ERR_VERIFY_FAILED") && shown.contains("people to approve it"), "{shown}");
        assert!(shown.contains("… 63 more: --full") && !rollout_show(Look::PLAIN, &many, true, NOW).contains("more:"));
    }
}
