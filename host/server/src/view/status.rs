//! What the host does, what stands still, and who waits for what; and a run that is watched.

use mendwright_core::run::State;

use crate::api::run::RunBody;
use crate::api::status::{AnchorBody, AuditBody, StatusBody};
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::{When, count};
use crate::view::run::{TimelineEvent, ink, state_words};
use crate::view::switch::switch_list;

/// `status`. `now` is RFC 3339.
#[must_use]
pub fn status(look: Look, found: &StatusBody, now: &str) -> String {
    let mut out = String::new();
    match &found.host {
        Some(host) => {
            let parts = [
                host.state.clone(),
                format!("mendwright {}", safe(&host.version)),
                format!("pid {}", host.pid),
                format!("since {}", When { at: &host.started_at, now }.to_minute()),
                format!("works on {} of {}", host.working_on, host.working_on_max),
            ];
            out.push_str(&look.parts("host", &parts, " · "));
            out.push_str(&look.parts("store", &[safe(&host.store)], ""));
        }
        None => out.push_str(&look.parts("host", &["none runs; commands open the store themselves".to_owned()], "")),
    }
    out.push_str(&audit(look, &found.audit));
    out.push('\n');
    out.push_str(&switch_list(look, &found.switches.switches, now));
    out.push('\n');
    if found.runs.is_empty() {
        out.push_str("Every run is settled: nobody works on one, and none waits for a person.\n");
    } else {
        out.push_str(&runs(look, &found.runs, now));
    }
    if found.more {
        out.push_str(&format!("… and more: {}\n", look.paint(Ink::Cyan, "mendwright run list --state STATE")));
    }
    if found.host.is_none() {
        let serve = Next::new("mendwright serve", "runs the host: it works on what is due");
        out.push_str(&format!("\n{}", next(look, &[serve])));
    }
    out
}

/// What of the audit log is elsewhere too, and what somebody with this host could still change unseen.
fn audit(look: Look, at: &AuditBody) -> String {
    let AuditBody { entries, waiting, signed, anchors } = at;
    let all = entries + waiting;
    let anchored = anchors.iter().map(|anchor| anchor.size).max().unwrap_or(0);
    let parts = [
        if all == 1 { "1 entry".to_owned() } else { format!("{} entries", count(all)) },
        format!("{} signed", count(*signed)),
        match all.saturating_sub(anchored) {
            0 => "all anchored".to_owned(),
            open => look.paint(Ink::Yellow, &format!("▲ {} not anchored yet", count(open))),
        },
    ];
    let mut out = look.parts("audit log", &parts, " · ");
    for AnchorBody { place, size, problem } in anchors {
        let Some(code) = problem else { continue };
        let parts = [safe(place), format!("has {}", count(*size)), look.paint(Ink::Yellow, &safe(code))];
        out.push_str(&look.parts("", &parts, " · "));
    }
    out
}

fn runs(look: Look, runs: &[RunBody], now: &str) -> String {
    let mut grid = Grid::default()
        .column("run", Align::Right, 0)
        .column("state", Align::Left, 2)
        .column("job", Align::Left, 3)
        .column("tenant", Align::Left, 3)
        .column("database", Align::Left, 3)
        .column("waits for", Align::Left, 3);
    for run in runs {
        let state = run.state.parse::<State>();
        let (words, ink) = state.as_ref().map_or((safe(&run.state), Ink::Plain), |s| (state_words(*s), ink(*s)));
        grid.row(vec![
            Item::inked(format!("#{}", run.number), Ink::Bold),
            Item::inked(words, ink),
            Item::new(safe(&run.job)),
            Item::new(safe(&run.tenant)),
            Item::new(run.target.as_deref().map(safe).unwrap_or_default()),
            Item::new(waits_for(run, now)),
        ]);
    }
    grid.render(look, false)
}

/// What a run waits for. RFC 3339 in UTC with one number of digits is ordered as text.
fn waits_for(run: &RunBody, now: &str) -> String {
    if let Some(leased) = run.leased.as_ref().filter(|leased| leased.until.as_str() > now) {
        return format!("{}, which works on it (attempt {})", safe(&leased.owner), run.attempt);
    }
    match &run.asked {
        Some(asked) if asked.due_at.as_str() > now => {
            let at = When { at: &asked.due_at, now }.to_second();
            format!("{at}: {} is tried again, after {}", safe(&asked.task), times(asked.tries))
        }
        Some(asked) => {
            let by = safe(asked.by.trim_start_matches("person:"));
            format!("a free worker, to {} it; asked by {by}", safe(&asked.task))
        }
        None => run.state.parse::<State>().ok().and_then(State::waits_for).unwrap_or_default().to_owned(),
    }
}

fn times(n: u64) -> String {
    if n == 1 { "1 time".to_owned() } else { format!("{n} times") }
}

/// One line of a run that is watched.
#[must_use]
pub fn watch_line(look: Look, event: &TimelineEvent, now: &str) -> String {
    let at = When { at: &event.at, now }.to_second();
    let detail = safe(&event.detail);
    let detail = if detail.is_empty() { detail } else { format!("  {}", look.paint(Ink::Dim, &detail)) };
    format!("{}  {}{detail}\n", look.paint(Ink::Dim, at.trim_end_matches(" UTC")), safe(&event.what))
}

/// The end of a run that is watched.
#[must_use]
pub fn watch_end(look: Look, number: u64, state: State, message: &str) -> String {
    let waits = state.waits_for().map_or(String::new(), |what| format!(", waits for {what}"));
    let title = look.paint(ink(state), &format!("#{number} {}{waits}", state_words(state)));
    if message.is_empty() { format!("{title}\n") } else { format!("{title}\n  {}\n", safe(message)) }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::api::run::{AskedBody, LeasedBody};
    use crate::api::status::HostBody;
    use crate::api::switch::SwitchesBody;

    const NOW: &str = "2026-11-20T03:12:09.000000Z";

    fn run(number: u64, state: State) -> RunBody {
        let text = serde_json::json!({
            "number": number, "run": "run_1", "state": state.word(), "job": "reconcile_invoices", "version": "1.0.0",
            "tenant": "Germany", "environment": "demo", "requested_by": "person:alice", "created_at": NOW,
            "updated_at": NOW, "target": "chinook", "only": [], "frozen_now": NOW, "frozen_seed": "", "nonce": "",
            "attempt": 2, "undo_generation": 0,
        });
        serde_json::from_value(text).unwrap()
    }

    fn asked(due_at: &str, tries: u64) -> Option<AskedBody> {
        let (task, by) = ("apply".to_owned(), "person:bob".to_owned());
        Some(AskedBody { task, by, confirm: None, break_glass: None, due_at: due_at.to_owned(), tries })
    }

    #[test]
    fn a_status_says_who_waits_for_what() {
        let leased = LeasedBody { owner: "4711-ab".to_owned(), until: "2026-11-20T03:12:20.000000Z".to_owned() };
        let runs = vec![
            RunBody { leased: Some(leased), asked: asked(NOW, 0), ..run(7, State::Applying) },
            RunBody { asked: asked("2026-11-20T03:12:25.000000Z", 2), ..run(8, State::Planned) },
            RunBody { asked: asked(NOW, 0), ..run(9, State::Planned) },
            run(10, State::AwaitingApproval),
            run(11, State::Stuck),
        ];
        let host = HostBody {
            version: "0.1.0".to_owned(),
            pid: 4711,
            owner: "4711-ab".to_owned(),
            started_at: "2026-11-20T02:00:00.000000Z".to_owned(),
            state: "working".to_owned(),
            store: "/var/lib/mendwright.db".to_owned(),
            working_on: 1,
            working_on_max: 64,
        };
        let switches = SwitchesBody { format_version: "1.0".to_owned(), epoch: 0, switches: vec![] };
        let anchor = |place: &str, size, problem: Option<&str>| {
            let (place, problem) = (place.to_owned(), problem.map(ToOwned::to_owned));
            AnchorBody { place, size, problem }
        };
        let untrue = anchor("witness w.example/1", 1_180, Some("ERR_WITNESS_UNTRUE"));
        let anchors = vec![anchor("file:/elsewhere", 1_200, None), untrue];
        let audit = AuditBody { entries: 1_203, waiting: 1, signed: 1_200, anchors };
        let format_version = "1.0".to_owned();
        let found = StatusBody { format_version, host: Some(host), switches, audit, runs, more: true };
        assert_snapshot!("busy", status(Look::PLAIN, &found, NOW));
        let audit = AuditBody { entries: 1, waiting: 0, signed: 1, anchors: vec![anchor("file:/elsewhere", 1, None)] };
        let quiet = StatusBody { host: None, audit, runs: vec![], more: false, ..found };
        assert_snapshot!("quiet", status(Look::PLAIN, &quiet, NOW));
    }
}
