//! `bundle verify`: what holds of an exported run.

use crate::bundle::{Report, Verdict};
use crate::view::look::{Ink, Look, safe};

/// One line for each thing that was looked at.
#[must_use]
pub fn checks(look: Look, report: &Report) -> String {
    let head = if report.holds() {
        look.paint(Ink::Green, &format!("{} is what it says.", safe(&report.run)))
    } else {
        look.paint(Ink::Red, &format!("{} is not what it says.", safe(&report.run)))
    };
    let mut out = format!("{head}\n");
    for check in &report.checks {
        let mark = match check.verdict {
            Verdict::Holds => look.paint(Ink::Green, "✓"),
            Verdict::Absent => "–".to_owned(),
            Verdict::Fails => look.paint(Ink::Red, "✗"),
        };
        out.push_str(&format!("  {mark} {:<10} {}\n", check.what, safe(&check.detail)));
    }
    out
}
