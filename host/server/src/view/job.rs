//! Jobs: which there are, what one is made of, and what it may do.

use mendwright_core::port::Severity;

use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::bytes;

/// One job of the list.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `DATA`, `PERF`, ….
    pub category: String,
    /// The level that its manifest claims.
    pub level: u8,
    /// What it does, in one line.
    pub summary: String,
    /// Whether its component is built and newer than its source.
    pub built: bool,
}

/// `job list`.
#[must_use]
pub fn job_list(look: Look, jobs: &[JobRow]) -> String {
    if jobs.is_empty() {
        return "No jobs in the jobs directory.\n".to_owned();
    }
    let mut grid = Grid::default()
        .column("job", Align::Left, 0)
        .column("category", Align::Left, 3)
        .column("level", Align::Right, 2)
        .column("built", Align::Left, 2)
        .column("", Align::Left, 3);
    for job in jobs {
        let built = if job.built { Item::inked("yes", Ink::Green) } else { Item::inked("no", Ink::Yellow) };
        grid.row(vec![
            Item::inked(format!("{} {}", safe(&job.name), safe(&job.version)), Ink::Bold),
            Item::new(safe(&job.category)),
            Item::new(job.level.to_string()),
            built,
            Item::new(safe(&job.summary)),
        ]);
    }
    grid.render(look, false)
}

/// What a component is made of.
#[derive(Clone, Debug)]
pub struct JobInspect {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The component's size.
    pub size_bytes: u64,
    /// The component's SHA-256, in hex.
    pub sha256: String,
    /// The manifest's SHA-256, in hex.
    pub manifest_sha256: String,
    /// The contract it was written for.
    pub wit: String,
    /// The interfaces it imports, and whether the manifest requests each.
    pub imports: Vec<(String, bool)>,
    /// What it exports.
    pub exports: Vec<String>,
    /// What to type next.
    pub next: Vec<Next>,
}

/// `job inspect`.
#[must_use]
pub fn job_inspect(look: Look, job: &JobInspect) -> String {
    let component = [
        format!("{} {}", safe(&job.name), safe(&job.version)),
        bytes(job.size_bytes),
        format!("sha256 {}", safe(&job.sha256)),
    ];
    let mut out = look.parts("component", &component, " · ");
    out.push_str(&look.parts("manifest", &[format!("sha256 {}", safe(&job.manifest_sha256))], ""));
    out.push_str(&look.parts("contract", &[safe(&job.wit)], ""));
    let mut imports: Vec<String> =
        job.imports.iter().filter(|(_, requested)| *requested).map(|(name, _)| safe(name)).collect();
    let foreign = job.imports.iter().filter(|(_, requested)| !requested);
    imports.extend(foreign.map(|(name, _)| look.paint(Ink::Red, &format!("✗ {} is not requested", safe(name)))));
    if imports.is_empty() {
        imports.push("nothing".to_owned());
    }
    out.push_str(&look.parts("imports", &imports, ", "));
    let exports: Vec<String> = job.exports.iter().map(|name| safe(name)).collect();
    out.push_str(&look.parts("exports", &exports, ", "));
    if !job.next.is_empty() {
        out.push('\n');
        out.push_str(&next(look, &job.next));
    }
    out
}

/// What a job may do, from its manifest.
#[derive(Clone, Debug)]
pub struct JobExplain {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in one line.
    pub summary: String,
    /// `DATA`, `PERF`, ….
    pub category: String,
    /// The level that its manifest claims; what is touched can raise it.
    pub level: u8,
    /// Who answers for it; empty where nobody is named.
    pub owner: String,
    /// Where its runbook is; empty where there is none.
    pub runbook: String,
    /// Anomalies that it remedies.
    pub remedies: Vec<String>,
    /// What it asks for.
    pub requests: Vec<RequestRow>,
    /// Its parameters.
    pub params: Vec<ParamRow>,
    /// What holds whatever it does.
    pub invariants: Vec<String>,
    /// What it may leave for people.
    pub findings: Vec<FindingHelp>,
    /// Metric → limit, in words: `fuel` → `2,000 M`.
    pub budget: Vec<(String, String)>,
    /// How its changes are applied: `atomic; each change stands alone`.
    pub apply: String,
    /// What to type next.
    pub next: Vec<Next>,
}

/// What a job asks of one table.
#[derive(Clone, Debug)]
pub struct RequestRow {
    /// The job's name of the table.
    pub table: String,
    /// Whether it does its work without it.
    pub optional: bool,
    /// Columns it reads.
    pub read: Vec<String>,
    /// Columns it writes.
    pub write: Vec<String>,
    /// What it does to rows: `update`.
    pub operations: Vec<String>,
}

/// One parameter.
#[derive(Clone, Debug)]
pub struct ParamRow {
    /// Its name.
    pub name: String,
    /// What it takes, and what it is where nobody says: `half-even or half-up (half-even)`.
    pub takes: String,
    /// What it does.
    pub help: String,
}

/// One kind of finding.
#[derive(Clone, Debug)]
pub struct FindingHelp {
    /// Its code.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What a person does about it.
    pub help: String,
}

/// `job explain`.
#[must_use]
pub fn job_explain(look: Look, job: &JobExplain) -> String {
    let title = format!("{} {}", safe(&job.name), safe(&job.version));
    let right = format!("{} · level {} or higher", safe(&job.category), job.level);
    let mut out = look.apart((Ink::Bold, &title), (Ink::Plain, &right));
    out.push('\n');
    out.push_str(&lines(look, &job.summary, 0));
    out.push_str(&may_do(look, job));
    if !job.params.is_empty() {
        let mut grid = Grid::default().column("", Align::Left, 2).column("", Align::Left, 2).column("", Align::Left, 3);
        for param in &job.params {
            grid.row(vec![
                Item::inked(safe(&param.name), Ink::Bold),
                Item::new(safe(&param.takes)),
                Item::new(safe(&param.help)),
            ]);
        }
        out.push_str(&format!("\nParameters\n{}", grid.render(look, false)));
    }
    if !job.invariants.is_empty() {
        out.push_str("\nWhatever it does\n");
        for invariant in &job.invariants {
            out.push_str(&format!("  · {}", lines(look, invariant, 4).trim_start()));
        }
    }
    if !job.findings.is_empty() {
        out.push_str("\nWhat it leaves for a person\n");
        for finding in &job.findings {
            let (sign, ink) = match finding.severity {
                Severity::Error => ("!", Ink::Red),
                Severity::Warning => ("▲", Ink::Yellow),
                Severity::Info => ("i", Ink::Dim),
            };
            out.push_str(&format!("  {} {}\n", look.paint(ink, sign), look.paint(Ink::Bold, &safe(&finding.code))));
            out.push_str(&lines(look, &finding.help, 6));
        }
    }
    out.push('\n');
    let budget: Vec<String> =
        job.budget.iter().map(|(metric, limit)| format!("{} {}", safe(metric), safe(limit))).collect();
    for (label, parts) in [
        ("apply", vec![safe(&job.apply)]),
        ("budget", budget),
        ("remedies", job.remedies.iter().map(|r| safe(r)).collect()),
        ("owner", vec![safe(&job.owner)]),
        ("runbook", vec![safe(&job.runbook)]),
    ] {
        if parts.iter().any(|part| !part.is_empty()) {
            out.push_str(&look.parts(label, &parts, " · "));
        }
    }
    if !job.next.is_empty() {
        out.push('\n');
        out.push_str(&next(look, &job.next));
    }
    out
}

fn lines(look: Look, text: &str, indent: usize) -> String {
    let mut out = look.wrap(&safe(text), indent).join("\n");
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn may_do(look: Look, job: &JobExplain) -> String {
    if job.requests.is_empty() {
        return "\nIt asks for no table.\n".to_owned();
    }
    let mut grid = Grid::default()
        .column("table", Align::Left, 2)
        .column("does", Align::Left, 3)
        .column("writes", Align::Left, 3)
        .column("reads", Align::Left, 3);
    for request in &job.requests {
        let list = |names: &[String]| names.iter().map(|n| safe(n)).collect::<Vec<_>>().join(", ");
        let optional = if request.optional { " (optional)" } else { "" };
        let nothing = || Item::inked("nothing", Ink::Dim);
        grid.row(vec![
            Item::inked(format!("{}{optional}", safe(&request.table)), Ink::Bold),
            if request.operations.is_empty() {
                Item::inked("reads", Ink::Dim)
            } else {
                Item::new(list(&request.operations))
            },
            if request.write.is_empty() { nothing() } else { Item::inked(list(&request.write), Ink::Yellow) },
            if request.read.is_empty() { nothing() } else { Item::new(list(&request.read)) },
        ]);
    }
    format!("\nWhat it may do, if granted, and nothing else\n{}", grid.render(look, false))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn jobs_are_listed() {
        let job = |name: &str, built, summary: &str| JobRow {
            name: name.into(),
            version: "1.0.0".into(),
            category: "DATA".into(),
            level: 3,
            summary: summary.into(),
            built,
        };
        let jobs = [
            job("reconcile_invoices", true, "Makes each invoice's total the sum of its lines."),
            job("patch_rows", false, "Writes the values of a CSV file, row by row."),
        ];
        assert_snapshot!(job_list(Look::PLAIN, &jobs));
    }

    #[test]
    fn a_component_is_shown_with_what_it_imports() {
        let job = JobInspect {
            name: "reconcile_invoices".into(),
            version: "1.0.0".into(),
            size_bytes: 231_424,
            sha256: "70f5784f".repeat(8),
            manifest_sha256: "b8e96a74".repeat(8),
            wit: "mendwright:repair@0.1.0".into(),
            imports: vec![("run".into(), true), ("tables".into(), true), ("settings".into(), false)],
            exports: words(&["dry-run", "apply", "rollback", "verify"]),
            next: Vec::new(),
        };
        assert_snapshot!(job_inspect(Look::PLAIN, &job));
    }

    #[test]
    fn a_job_is_explained_to_whoever_has_to_say_yes() {
        let job = JobExplain {
            name: "reconcile_invoices".into(),
            version: "1.0.0".into(),
            summary: "Makes each invoice's total the sum of its lines; reports what it cannot decide.".into(),
            category: "DATA".into(),
            level: 3,
            owner: "billing@example.org".into(),
            runbook: "docs/RELIABILITY_RUNBOOKS.md#billing".into(),
            remedies: words(&["invoice.total_mismatch"]),
            requests: vec![
                RequestRow {
                    table: "invoices".into(),
                    optional: false,
                    read: words(&["id", "total"]),
                    write: words(&["total"]),
                    operations: words(&["update"]),
                },
                RequestRow {
                    table: "payments".into(),
                    optional: true,
                    read: words(&["invoice_id", "amount"]),
                    write: Vec::new(),
                    operations: Vec::new(),
                },
            ],
            params: vec![ParamRow {
                name: "rounding".into(),
                takes: "half-even or half-up (half-even)".into(),
                help: "How a sum is rounded to the currency's minor unit.".into(),
            }],
            invariants: words(&[
                "total = Σ quantity × unit_price, rounded to the currency's minor unit",
                "only `total` changes; no row appears or disappears",
            ]),
            findings: vec![FindingHelp {
                code: "invoice_without_lines".into(),
                severity: Severity::Error,
                help: "The lines were lost or the invoice is void: restore the lines, or cancel the invoice.".into(),
            }],
            budget: vec![("fuel".into(), "2,000 M".into()), ("rows_changed".into(), "100,000".into())],
            apply: "atomic; each change stands alone".into(),
            next: vec![Next::new("mendwright run plan reconcile_invoices --tenant TENANT", "changes nothing")],
        };
        assert_snapshot!(job_explain(Look::PLAIN, &job));
    }
}
