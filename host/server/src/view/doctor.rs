//! `doctor`: what is as it should be, and what is not, with the next thing to type.

use serde::Serialize;

use crate::view::look::{Ink, Look, pad, safe, width};
use crate::view::next::Next;
use crate::view::problem::Problem;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// Whether it is as it should be.
    pub good: bool,
    /// One sentence.
    pub says: String,
    /// The code of what is wrong.
    pub code: Option<mendwright_core::code::Code>,
    /// What to type next, where something is wrong.
    pub next: Option<Next>,
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn good(what: impl Into<String>, says: impl Into<String>) -> Self {
        Self { what: what.into(), good: true, says: says.into(), code: None, next: None }
    }

    /// Something is wrong.
    #[must_use]
    pub fn bad(what: impl Into<String>, problem: Problem) -> Self {
        let explain = || Next::new(format!("mendwright explain {}", problem.code), "what it means and what to do");
        let next = problem.next.first().cloned().unwrap_or_else(explain);
        Self { what: what.into(), good: false, says: problem.message, code: Some(problem.code), next: Some(next) }
    }
}

/// Every finding, one line each, and below a bad one what to type.
#[must_use]
pub fn doctor(look: Look, findings: &[Finding]) -> String {
    let columns = findings.iter().map(|finding| width(&safe(&finding.what))).max().unwrap_or(0);
    let mut out = String::new();
    for finding in findings {
        let (mark, ink) = if finding.good { ("✓", Ink::Green) } else { ("✗", Ink::Red) };
        let what = pad(&safe(&finding.what), columns);
        out.push_str(&format!("{} {what}  {}\n", look.paint(ink, mark), safe(&finding.says)));
        if let Some(next) = &finding.next {
            let indent = " ".repeat(columns + 4);
            let why = if next.why.is_empty() { String::new() } else { format!("   {}", safe(&next.why)) };
            out.push_str(&format!(
                "{indent}{}{}\n",
                look.paint(Ink::Cyan, &safe(&next.command)),
                look.paint(Ink::Dim, &why)
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use mendwright_core::code::Code;

    use super::*;

    #[test]
    fn what_is_wrong_ends_in_the_next_thing_to_type() {
        let uninitialized = Problem::new(Code::TargetUninitialized, "database `crm` has not been prepared");
        let findings = [
            Finding::good("configuration", "mendwright.toml (demo)"),
            Finding::bad("database crm", uninitialized.clone().next("mendwright database init crm", "prepares it")),
            Finding::bad("database x", uninitialized),
        ];
        assert_snapshot!("findings", doctor(Look::PLAIN, &findings));
    }
}
