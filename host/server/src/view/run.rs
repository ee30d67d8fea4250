//! Runs: the list, and the head of one.

use mendwright_core::code::Code;
use mendwright_core::level::Level;
use mendwright_core::run::State;

use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::{When, count};

/// One run of the list.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its number.
    pub number: u64,
    /// Where it stands.
    pub state: State,
    /// The job's name.
    pub job: String,
    /// The job's version.
    pub version: String,
    /// The run that it takes back in the job's own way.
    pub compensates: Option<u64>,
    /// Whose data.
    pub tenant: String,
    /// RFC 3339: when it was asked for.
    pub created_at: String,
    /// Rows inserted, updated and deleted by its plan; `None` before there is one.
    pub changes: Option<(u64, u64, u64)>,
    /// Who asked for it: `person:alice`.
    pub requested_by: String,
}

/// `run list`. `now` is RFC 3339: times of today are shown without their date.
#[must_use]
pub fn run_list(look: Look, rows: &[RunRow], now: &str) -> String {
    if rows.is_empty() {
        return format!(
            "No runs.\n\n{}",
            next(look, &[Next::new("mendwright run plan JOB --tenant TENANT", "makes the first")])
        );
    }
    let mut grid = Grid::default()
        .column("run", Align::Right, 0)
        .column("state", Align::Left, 2)
        .column("job", Align::Left, 3)
        .column("tenant", Align::Left, 3)
        .column("+", Align::Right, 3)
        .column("~", Align::Right, 2)
        .column("-", Align::Right, 2)
        .column("by", Align::Left, 3)
        .column("at (UTC)", Align::Left, 3);
    for row in rows {
        let at = When { at: &row.created_at, now }.to_minute();
        let amount = |of: fn((u64, u64, u64)) -> u64| Item::new(row.changes.map_or(String::new(), |c| count(of(c))));
        grid.row(vec![
            Item::inked(format!("#{}", row.number), Ink::Bold),
            Item::inked(state_words(row.state), ink(row.state)),
            Item::new(format!("{} {}{}", safe(&row.job), safe(&row.version), takes_back(row.compensates))),
            Item::new(safe(&row.tenant)),
            amount(|c| c.0),
            amount(|c| c.1),
            amount(|c| c.2),
            Item::new(safe(row.requested_by.trim_start_matches("person:"))),
            Item::new(at.trim_end_matches(" UTC")),
        ]);
    }
    grid.render(look, false)
}

fn takes_back(run: Option<u64>) -> String {
    run.map_or_else(String::new, |run| format!(" takes back #{run}"))
}

/// The head of `run show`.
#[derive(Clone, Debug)]
pub struct RunHead {
    /// Its number.
    pub number: u64,
    /// `run_018f…`.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// Why it ended so, where it did not end well.
    pub code: Option<Code>,
    /// The sentence that goes with the code.
    pub message: String,
    /// The job's name.
    pub job: String,
    /// The job's version.
    pub version: String,
    /// Whose data.
    pub tenant: String,
    /// `environment` of the configuration.
    pub environment: String,
    /// Its plan's level, where there is one.
    pub level: Option<Level>,
    /// Who asked for it.
    pub requested_by: String,
    /// RFC 3339: until when the plan may be applied; empty where that is over.
    pub expires_at: String,
    /// RFC 3339: until when it can be undone; empty where there is nothing to undo.
    pub undo_until: String,
    /// The run that it takes back in the job's own way.
    pub compensates: Option<u64>,
    /// RFC 3339: now.
    pub now: String,
    /// What happened, the oldest first.
    pub timeline: Vec<TimelineEvent>,
    /// What to type next.
    pub next: Vec<Next>,
}

/// One thing that happened to a run.
#[derive(Clone, Debug)]
pub struct TimelineEvent {
    /// RFC 3339.
    pub at: String,
    /// What: `planned`, `apply started`, `committed`.
    pub what: String,
    /// Who or what did it; empty for the host.
    pub by: String,
    /// More words, or empty.
    pub detail: String,
}

/// The head of `run show`: state, what it waits for, what happened.
#[must_use]
pub fn run_show(look: Look, head: &RunHead) -> String {
    let mark = match head.state {
        State::Succeeded | State::NothingToDo => "✓",
        State::RolledBack => "↩",
        State::Planning
        | State::Planned
        | State::AwaitingApproval
        | State::Approved
        | State::Applying
        | State::Verifying
        | State::RollingBack => "●",
        State::Denied
        | State::Refused
        | State::Failed
        | State::Drifted
        | State::Violated
        | State::Expired
        | State::Rejected
        | State::Cancelled
        | State::Stuck
        | State::Diverged => "✗",
    };
    let waits = head.state.waits_for().map_or(String::new(), |what| format!(", waits for {what}"));
    let title = format!("{mark} #{} {}{waits}", head.number, state_words(head.state));
    let mut out = look.apart((ink(head.state), &title), (Ink::Dim, head.code.map_or("", Code::text)));
    out.push('\n');
    if !head.message.is_empty() {
        out.push_str(&format!("  {}\n", safe(&head.message)));
    }
    let job = [
        format!("{} {}", safe(&head.job), safe(&head.version)),
        format!("tenant {}", safe(&head.tenant)),
        safe(&head.environment),
    ];
    out.push_str(&look.parts("job", &job, " · "));
    out.push_str(&look.parts("run", &[safe(&head.id)], ""));
    if let Some(run) = head.compensates {
        out.push_str(&look.parts("takes back", &[format!("#{run}, in the job's own way")], ""));
    }
    if let Some(level) = head.level {
        out.push_str(&look.parts("level", &[level.to_string()], ""));
    }
    out.push_str(&look.parts("asked by", &[safe(head.requested_by.trim_start_matches("person:"))], ""));
    if !head.expires_at.is_empty() {
        out.push_str(&look.parts("valid until", &[When { at: &head.expires_at, now: &head.now }.to_minute()], ""));
    }
    if !head.undo_until.is_empty() {
        out.push_str(&look.parts("undo until", &[When { at: &head.undo_until, now: &head.now }.to_day()], ""));
    }
    if !head.timeline.is_empty() {
        out.push('\n');
        out.push_str(&timeline(head).render(look, false));
    }
    if !head.next.is_empty() {
        out.push('\n');
        out.push_str(&next(look, &head.next));
    }
    out
}

fn timeline(head: &RunHead) -> Grid {
    let mut grid = Grid::default()
        .column("", Align::Right, 2)
        .column("", Align::Left, 2)
        .column("", Align::Left, 2)
        .column("", Align::Left, 2);
    for event in &head.timeline {
        let at = When { at: &event.at, now: &head.now }.to_second();
        grid.row(vec![
            Item::inked(at.trim_end_matches(" UTC"), Ink::Dim),
            Item::new(safe(&event.what)),
            Item::new(safe(event.by.trim_start_matches("person:"))),
            Item::inked(safe(&event.detail), Ink::Dim),
        ]);
    }
    grid
}

/// The state in words: `nothing to do`.
pub(super) fn state_words(state: State) -> String {
    state.word().replace('_', " ")
}

pub(super) const fn ink(state: State) -> Ink {
    match state {
        State::Succeeded | State::NothingToDo => Ink::Green,
        State::Planning
        | State::Planned
        | State::AwaitingApproval
        | State::Approved
        | State::Applying
        | State::Verifying
        | State::RollingBack
        | State::RolledBack => Ink::Yellow,
        State::Expired | State::Rejected | State::Cancelled => Ink::Dim,
        State::Denied
        | State::Refused
        | State::Failed
        | State::Drifted
        | State::Violated
        | State::Stuck
        | State::Diverged => Ink::Red,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn row(number: u64, state: State, tenant: &str, at: &str, changes: Option<(u64, u64, u64)>) -> RunRow {
        RunRow {
            number,
            state,
            job: "reconcile_invoices".into(),
            version: "1.0.0".into(),
            compensates: (number == 998).then_some(7),
            tenant: tenant.into(),
            created_at: at.into(),
            changes,
            requested_by: "person:alice".into(),
        }
    }

    #[test]
    fn runs_are_listed_in_columns() {
        let rows = [
            row(1043, State::Planned, "Germany", "2026-11-20T03:12:09Z", Some((0, 6, 0))),
            row(1042, State::NothingToDo, "日本", "2026-11-20T02:00:00Z", Some((0, 0, 0))),
            row(998, State::RolledBack, "Czech Republic", "2026-11-18T23:59:59Z", Some((2, 100_000, 12))),
            row(7, State::Denied, "x\u{202e}y", "2025-01-02T03:04:05Z", None),
        ];
        assert_snapshot!(run_list(Look::PLAIN, &rows, "2026-11-20T08:00:00Z"));
        assert_snapshot!("empty", run_list(Look::PLAIN, &[], "2026-11-20T08:00:00Z"));
    }

    fn head(state: State) -> RunHead {
        let event = |at: &str, what: &str, by: &str, detail: &str| TimelineEvent {
            at: format!("2026-11-20T{at}Z"),
            what: what.into(),
            by: by.into(),
            detail: detail.into(),
        };
        RunHead {
            number: 1042,
            id: "run_01936e0c7b1a7c3e8f00000000000001".into(),
            state,
            code: None,
            message: String::new(),
            job: "reconcile_invoices".into(),
            version: "1.0.0".into(),
            tenant: "Germany".into(),
            environment: "demo".into(),
            level: Some(Level::Assisted),
            requested_by: "person:alice".into(),
            expires_at: "2026-11-20T11:12:09Z".into(),
            undo_until: String::new(),
            compensates: None,
            now: "2026-11-20T03:30:00Z".into(),
            timeline: vec![
                event("03:12:09", "dry run started", "person:alice", ""),
                event("03:12:09", "planned", "", "6 changes, 2 findings"),
            ],
            next: vec![Next::new("mendwright run apply 1042 --confirm b8e96a7449776ac9", "applies exactly this")],
        }
    }

    #[test]
    fn a_run_says_what_it_waits_for() {
        assert_snapshot!("planned", run_show(Look::PLAIN, &head(State::Planned)));
        let stuck = RunHead {
            code: Some(Code::JournalTampered),
            message: "journal row 3 of #1042 does not carry this host's MAC".into(),
            expires_at: String::new(),
            undo_until: "2026-12-20T03:12:09Z".into(),
            compensates: Some(998),
            ..head(State::Stuck)
        };
        assert_snapshot!("stuck", run_show(Look::PLAIN, &stuck));
    }
}
