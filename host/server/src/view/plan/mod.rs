//! A plan as a person reads it before saying yes.
//!
//! - `head`: what ran, on what, and what it read;
//! - `diff`: what it would do to each resource;
//! - `foot`: what it left for people, what it amounts to, and what an approval means.

mod diff;
mod foot;
mod head;
#[cfg(test)]
mod tests;

use mendwright_core::plan::document::{ChangeRecord, Document};

use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};

/// Changes of one resource that are shown unless somebody asks for more.
pub const ROWS_MAX: usize = 20;

/// Everything that the view of a plan shows.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The plan.
    pub document: &'a Document,
    /// Its changes in the plan's order. The first [`ROWS_MAX`] of each resource are enough unless
    /// [`Options`] asks for others; the counts come from the document.
    pub changes: &'a [ChangeRecord],
    /// The manifest's line on what the job does.
    pub job_summary: &'a str,
    /// What policy says; from the level where absent.
    pub policy: Option<&'a Policy>,
    /// RFC 3339: now. Times of another day are shown with their date. Empty: the day of the plan.
    pub now: &'a str,
    /// What to type next; from the level and the digest where empty.
    pub next: &'a [Next],
}

/// What policy says of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `needs 1 approver who is not alice: bob`.
    pub text: String,
    /// The rules that said it: `builtin:level-3-needs-people`.
    pub by: Vec<String>,
}

/// What to show of the changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Every row, and every value at its full length.
    pub full: bool,
    /// Only changes in which this stands (key, column, value or reason), whatever its case.
    pub grep: Option<&'a str>,
    /// Only these rows: `invoices/6`, or `6` where it is enough.
    pub only: &'a [String],
}

impl Options<'_> {
    const fn is_filter(&self) -> bool {
        self.grep.is_some() || !self.only.is_empty()
    }
}

impl<'a> Plan<'a> {
    const fn now(&self) -> &'a str {
        if self.now.is_empty() { self.document.created_at.as_str() } else { self.now }
    }
}

/// The whole view.
#[must_use]
pub fn plan(look: Look, plan: &Plan<'_>, options: &Options<'_>) -> String {
    let document = plan.document;
    let mut blocks = vec![head::head(look, plan)];
    let count: u64 = document.resources.iter().map(diff::total).sum();
    if count == 0 {
        blocks.push(nothing(look, document));
    } else {
        for resource in document.resources.iter().filter(|r| diff::total(r) > 0) {
            blocks.push(diff::resource(look, resource, plan.changes, options));
        }
    }
    blocks.push(foot::findings(look, document, options.full));
    blocks.push(foot::failed_checks(look, document));
    if count > 0 {
        blocks.push(foot::amounts(look, plan));
        blocks.push(if plan.next.is_empty() { next(look, &foot::usual_next(plan)) } else { next(look, plan.next) });
    } else {
        blocks.push(next(look, plan.next));
    }
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

/// `No changes. 28 invoices agree with their lines.`
fn nothing(look: Look, document: &Document) -> String {
    let said = document.summary.trim();
    let said = if said.is_empty() { "Nothing is to be repaired." } else { said };
    format!("{} {}\n", look.paint(Ink::Green, "No changes."), safe(said))
}
