//! The next things to type: every view ends in them.

use serde::{Deserialize, Serialize};

use crate::view::look::{Ink, Look, pad, safe, width};

/// One thing that a person can type next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// The whole command.
    pub command: String,
    /// Why, or who; empty where the command says it.
    pub why: String,
}

impl Next {
    /// A command and what it is for.
    #[must_use]
    pub fn new(command: impl Into<String>, why: impl Into<String>) -> Self {
        Self { command: command.into(), why: why.into() }
    }
}

/// The block `Next   mendwright …`; nothing where there is nothing to type.
#[must_use]
pub fn next(look: Look, next: &[Next]) -> String {
    let columns = next.iter().filter(|n| !n.why.is_empty()).map(|n| width(&n.command)).max().unwrap_or(0);
    let mut out = String::new();
    for (i, one) in next.iter().enumerate() {
        let label = if i == 0 { look.paint(Ink::Bold, "Next") } else { "    ".to_owned() };
        let command = safe(&one.command);
        if one.why.is_empty() {
            out.push_str(&format!("{label}   {}\n", look.paint(Ink::Cyan, &command)));
            continue;
        }
        let why = safe(&one.why);
        let line_width = 7 + columns + 3 + width(&why);
        // A long command leaves no room: then the reason stands below it.
        let gap = if line_width > look.width.max(look.line()) {
            format!("\n{}", " ".repeat(11))
        } else {
            format!("{}   ", pad("", columns.saturating_sub(width(&command))))
        };
        out.push_str(&format!("{label}   {}{gap}{}\n", look.paint(Ink::Cyan, &command), look.paint(Ink::Dim, &why)));
    }
    out
}
