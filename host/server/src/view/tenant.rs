//! Tenants, and a job planned for all of them.

use mendwright_core::code::Code;
use mendwright_core::decimal::Decimal;
use mendwright_core::run::State;

use crate::api::tenant::TenantsBody;
use crate::view::cell::ColumnKind;
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::{counted, rounded, signed};
use crate::view::run::{ink, state_words};

/// Tenants that are named in one line at most; `tenant list` names all.
const NAMED_MAX: usize = 8;

/// `tenant list`.
#[must_use]
pub fn tenant_list(look: Look, found: &TenantsBody) -> String {
    if found.tenants.is_empty() {
        return format!("No row of {} belongs to a tenant.\n", safe(&found.discovered_in));
    }
    let mut grid = Grid::default().column("tenant", Align::Left, 0).column("canary", Align::Right, 3).column(
        "jobs that a grant lets touch its data",
        Align::Left,
        3,
    );
    for tenant in &found.tenants {
        let (text, ink) = match (tenant.excluded, tenant.jobs.is_empty()) {
            (true, _) => ("excluded by the configuration".to_owned(), Ink::Red),
            (false, true) => ("none".to_owned(), Ink::Dim),
            (false, false) => (safe(&tenant.jobs.join(", ")), Ink::Plain),
        };
        let place = format!("{}.{:02} %", tenant.canary_part / 100, tenant.canary_part % 100);
        grid.row(vec![Item::inked(safe(&tenant.tenant), Ink::Bold), Item::new(place), Item::inked(text, ink)]);
    }
    let mut out = grid.render(look, false);
    let n = u64::try_from(found.tenants.len()).unwrap_or(u64::MAX);
    let more = if found.more { ", and more that are not listed" } else { "" };
    out.push_str(&format!("\n{} in {}{more}.\n", counted(n, "tenant"), safe(&found.discovered_in)));
    out
}

/// What a job would do for one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantLine {
    /// Whose data.
    pub tenant: String,
    /// Its run; absent where none could begin.
    pub run: Option<(u64, State)>,
    /// Rows that would be inserted, updated and deleted.
    pub changes: Option<(u64, u64, u64)>,
    /// Findings that are left for a person.
    pub findings: u64,
    /// Column, the sum of its differences, and its kind: `decimal(10,2) USD`.
    pub net: Vec<(String, String, String)>,
    /// What policy says of it.
    pub policy: String,
    /// Why there is no plan.
    pub problem: Option<(Code, String)>,
}

/// A job, planned for every tenant for whom it is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The job's name.
    pub job: String,
    /// What it does.
    pub summary: String,
    /// `environment` of the configuration.
    pub environment: String,
    /// By name.
    pub lines: Vec<TenantLine>,
    /// Tenants for whom no grant names the job.
    pub not_granted: Vec<String>,
    /// What to type next.
    pub next: Vec<Next>,
}

/// `run plan JOB --tenant '*'`.
#[must_use]
pub fn survey(look: Look, found: &Survey) -> String {
    let n = u64::try_from(found.lines.len()).unwrap_or(u64::MAX);
    let title = format!("{} · {} · {}", safe(&found.job), counted(n, "tenant"), safe(&found.environment));
    let mut out = format!("{}\n", look.paint(Ink::Bold, &title));
    if !found.summary.is_empty() {
        out.push_str(&format!("{}\n", safe(&found.summary)));
    }
    out.push_str("A dry run for each of them; nothing was written.\n\n");
    let mut grid = Grid::default()
        .column("tenant", Align::Left, 0)
        .column("run", Align::Right, 3)
        .column("changes", Align::Left, 3)
        .column("net effect", Align::Left, 3)
        .column("policy", Align::Left, 3);
    for line in &found.lines {
        let run = line.run.map_or("—".to_owned(), |(number, _)| format!("#{number}"));
        let (changes, policy) = match &line.problem {
            Some((code, message)) => {
                let state = line.run.map_or(("failed".to_owned(), Ink::Red), |(_, s)| (state_words(s), ink(s)));
                (Item::inked(state.0, state.1), Item::inked(format!("{code}: {}", safe(message)), Ink::Red))
            }
            None => (Item::new(changes(line)), Item::new(safe(&line.policy))),
        };
        let net: Vec<String> = line.net.iter().map(|(column, by, kind)| net(column, by, kind)).collect();
        grid.row(vec![
            Item::inked(safe(&line.tenant), Ink::Bold),
            Item::new(run),
            changes,
            Item::new(net.join(", ")),
            policy,
        ]);
    }
    out.push_str(&grid.render(look, false));
    out.push_str(&format!("\n{}\n", total(&found.lines)));
    if !found.not_granted.is_empty() {
        let n = u64::try_from(found.not_granted.len()).unwrap_or(u64::MAX);
        let named: Vec<String> = found.not_granted.iter().take(NAMED_MAX).map(|name| safe(name)).collect();
        let more = if found.not_granted.len() > NAMED_MAX { ", …" } else { "" };
        let has = if n == 1 { "has" } else { "have" };
        out.push_str(&format!(
            "{} {has} no grant for it, and no run: {}{more}\n",
            counted(n, "tenant"),
            named.join(", ")
        ));
    }
    if !found.next.is_empty() {
        out.push_str(&format!("\n{}", next(look, &found.next)));
    }
    out
}

/// `total +8.21 USD`.
fn net(column: &str, by: &str, kind: &str) -> String {
    let kind = ColumnKind::of(&[(column.to_owned(), kind.to_owned())].into(), column);
    let by = match (by.parse::<Decimal>(), kind.scale()) {
        (Ok(number), Some(scale)) => rounded(&number, scale),
        _ => safe(by),
    };
    let unit = if kind.currency.is_empty() { String::new() } else { format!(" {}", safe(&kind.currency)) };
    format!("{} {}{unit}", safe(column), signed(&by))
}

fn changes(line: &TenantLine) -> String {
    let Some((inserts, updates, deletes)) = line.changes else { return String::new() };
    let mut parts: Vec<String> = [(inserts, '+'), (updates, '~'), (deletes, '-')]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, sign)| format!("{n} {sign}"))
        .collect();
    if parts.is_empty() {
        parts.push("none".to_owned());
    }
    if line.findings > 0 {
        parts.push(format!("{} !", line.findings));
    }
    parts.join("  ")
}

fn total(lines: &[TenantLine]) -> String {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let of = |line: &TenantLine| line.changes.map_or(0, |(a, b, c)| a + b + c);
    let changing = lines.iter().filter(|line| of(line) > 0).count();
    let failed = lines.iter().filter(|line| line.problem.is_some()).count();
    let rows: u64 = lines.iter().map(of).sum();
    format!(
        "{} with {}, {} with nothing to do, {failed} without a plan.",
        counted(count(changing), "tenant"),
        counted(rows, "change"),
        lines.len() - changing - failed,
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::api::tenant::TenantBody;

    #[test]
    fn tenants_say_which_jobs_and_who_is_excluded() {
        let one = |tenant: &str, part, jobs: &[&str], excluded| TenantBody {
            tenant: tenant.to_owned(),
            canary_part: part,
            jobs: jobs.iter().map(|job| (*job).to_owned()).collect(),
            excluded,
        };
        let all = vec![
            one("Germany", 4_207, &["reconcile_invoices"], false),
            one("Nor\u{202e}way", 3, &["x"], true),
            one("USA", 9_999, &[], false),
        ];
        assert_snapshot!("list", tenant_list(Look::PLAIN, &TenantsBody::new("invoices", all, true)));
        assert_snapshot!("nobody", tenant_list(Look::PLAIN, &TenantsBody::new("invoices", vec![], false)));
    }

    #[test]
    fn a_failure_in_one_tenant_is_a_line() {
        let text = |text: &str| text.to_owned();
        let line = |tenant: &str, run, changes, problem: Option<(Code, String)>| TenantLine {
            tenant: text(tenant),
            run,
            changes,
            findings: u64::from(changes == Some((0, 6, 0))) * 2,
            net: if changes == Some((0, 6, 0)) {
                vec![(text("total"), text("-8.2099999999"), text("decimal(10,2) USD"))]
            } else {
                vec![]
            },
            policy: if changes.is_some() { text("waits for 1 more approval") } else { String::new() },
            problem,
        };
        let lines = vec![
            line("Germany", Some((3, State::AwaitingApproval)), Some((0, 6, 0)), None),
            line("France", Some((4, State::NothingToDo)), Some((0, 0, 0)), None),
            line("Spain", Some((5, State::Failed)), None, Some((Code::JobTrapped, text("it divided by zero")))),
            line("Peru", None, None, Some((Code::TargetUnavailable, text("no answer")))),
        ];
        let found = Survey {
            job: text("reconcile_invoices"),
            summary: text("Makes each total the sum."),
            environment: text("demo"),
            lines,
            not_granted: vec![text("USA")],
            next: vec![Next::new("mendwright run show 3", "a plan, row by row")],
        };
        assert_snapshot!("survey", survey(Look::PLAIN, &found));
    }
}
