//! `run report`: a run as a Markdown document, for a ticket or a review afterwards.

use mendwright_core::change::Action;
use mendwright_core::plan::document::{Cell, ChangeRecord, Document};

use crate::api::vote::DecisionBody;
use crate::view::run::{RunHead, state_words};

/// Changes of each resource that are written out; the rest is counted.
pub const CHANGES_MAX: usize = 50;

/// The document. Values of sensitive columns are left out; nothing in a value can be markup.
#[must_use]
pub fn markdown(head: &RunHead, plan: Option<(&Document, &[ChangeRecord])>, answers: &[DecisionBody]) -> String {
    let mut out = format!("# {} for {}: {}\n\n", text(&head.job), text(&head.tenant), state_words(head.state));
    out.push_str(&table(&["", ""], facts(head, plan.map(|(document, _)| document))));
    if let Some((document, changes)) = plan {
        if !document.summary.is_empty() {
            out.push_str(&format!("\n{}\n", text(&document.summary)));
        }
        out.push_str(&changed(document, changes));
        if !document.findings.is_empty() {
            out.push_str("\n## Left for a person\n\n");
            let finding = |finding: &mendwright_core::plan::document::FindingRecord| {
                let row = finding.key.values().map(cell).collect::<Vec<_>>().join("/");
                vec![format!("{} {row}", text(&finding.resource)), text(&finding.code), text(&finding.message)]
            };
            out.push_str(&table(&["row", "finding", ""], document.findings.iter().map(finding)));
        }
    }
    if !answers.is_empty() {
        out.push_str("\n## What policy said\n\n");
        let answer = |said: &DecisionBody| {
            let missing: Vec<String> = said.answer.missing.iter().map(ToString::to_string).collect();
            let effect = said.answer.effect.word().replace('_', " ");
            vec![
                said.at.clone(),
                said.stage.replace('_', " "),
                effect,
                text(&missing.join("; ")),
                text(&said.answer.by.join(", ")),
            ]
        };
        out.push_str(&table(&["at (UTC)", "when", "answer", "missing", "by"], answers.iter().map(answer)));
    }
    out.push_str("\n## What happened\n\n");
    let event = |event: &crate::view::run::TimelineEvent| {
        vec![event.at.clone(), text(&event.what), text(&event.by), text(&event.detail)]
    };
    out.push_str(&table(&["at (UTC)", "what", "by", ""], head.timeline.iter().map(event)));
    out
}

fn facts(head: &RunHead, document: Option<&Document>) -> Vec<Vec<String>> {
    let fact = |name: &str, value: String| vec![name.to_owned(), value];
    let mut all = vec![
        fact("run", format!("#{} `{}`", head.number, head.id)),
        fact("job", format!("{} {}", text(&head.job), text(&head.version))),
        fact("tenant", text(&head.tenant)),
        fact("environment", text(&head.environment)),
        fact("asked for by", text(&head.requested_by)),
        fact("state", state_words(head.state)),
    ];
    if let Some(code) = head.code {
        all.push(fact("because", format!("{code}: {}", text(&head.message))));
    }
    if let Some(document) = document {
        all.push(fact("level", u8::from(document.header.outcome.level).to_string()));
        all.push(fact("plan", format!("`{}`", document.digest)));
        all.push(fact("component", format!("`{}`", document.header.job.component)));
    }
    if !head.undo_until.is_empty() {
        all.push(fact("undo until", head.undo_until.clone()));
    }
    all
}

/// Each resource that changes: how much, to what sums, and the first of its changes.
fn changed(document: &Document, changes: &[ChangeRecord]) -> String {
    let mut out = String::new();
    for resource in &document.resources {
        let own: Vec<&ChangeRecord> = changes.iter().filter(|change| change.resource == resource.name).collect();
        if own.is_empty() {
            continue;
        }
        out.push_str(&format!(
            "\n## {}\n\n{} inserted, {} updated, {} deleted, of {} rows.\n",
            text(&resource.name),
            resource.inserts,
            resource.updates,
            resource.deletes,
            resource.rows_of_tenant
        ));
        for (column, net) in &resource.net {
            let (before, after, delta) = (text(&net.before), text(&net.after), text(&net.delta));
            out.push_str(&format!("\n{}: {before} → {after} ({delta}).\n", text(column)));
        }
        out.push('\n');
        let row = |change: &&ChangeRecord| {
            let key = change.key.values().map(cell).collect::<Vec<_>>().join("/");
            vec![sign(change.action).to_owned(), key, difference(change), text(&change.reason)]
        };
        out.push_str(&table(&["", "row", "change", "why"], own.iter().take(CHANGES_MAX).map(row)));
        if let Some(more) = own.len().checked_sub(CHANGES_MAX).filter(|more| *more > 0) {
            out.push_str(&format!("\nand {more} more.\n"));
        }
    }
    out
}

const fn sign(action: Action) -> &'static str {
    match action {
        Action::Insert => "insert",
        Action::Update => "update",
        Action::Delete => "delete",
    }
}

fn difference(change: &ChangeRecord) -> String {
    let written = change.after.iter().map(|(column, after)| match change.before.get(column) {
        Some(before) => format!("{}: {} → {}", text(column), cell(before), cell(after)),
        None => format!("{}: {}", text(column), cell(after)),
    });
    written.collect::<Vec<_>>().join("; ")
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Plain(Some(value)) => text(value),
        Cell::Plain(None) => "NULL".to_owned(),
        Cell::Masked { .. } => "••••".to_owned(),
    }
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let mut out = line(&head) + &line(&rule);
    out.extend(rows.into_iter().map(|row| line(&row)));
    out
}

/// A text as it is, whatever it holds: no control character, and nothing that Markdown or HTML would read.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in mendwright_core::text::escape(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_markup() {
        let nasty = "a|b <script> `x` *y* [z](u) ![i](v)\n# & \u{202e}";
        assert_eq!(text(nasty), "a\\|b &lt;script> \\`x\\` \\*y\\* \\[z\\](u) \\!\\[i\\](v)\\\\n\\# &amp; \\\\u{202e}");
        assert_eq!(table(&["a", "b"], [vec![text("1|2"), text("3")]]), "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |\n");
    }
}
