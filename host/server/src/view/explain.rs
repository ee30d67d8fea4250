//! `mendwright explain ERR_…`: the page of an error code, offline.

use mendwright_core::code::Code;
use mendwright_core::text::did_you_mean;

use crate::view::look::{Ink, Look};
use crate::view::pages::PAGES;
use crate::view::problem::Problem;

/// Reads what a person typed: `ERR_PLAN_DRIFTED`, `plan_drifted`.
///
/// # Errors
/// A problem that proposes the code which was most likely meant.
pub fn code(typed: &str) -> Result<Code, Problem> {
    let upper = typed.trim().to_ascii_uppercase().replace('-', "_");
    let full = if upper.starts_with("ERR_") || upper.starts_with("WARN_") { upper } else { format!("ERR_{upper}") };
    full.parse().map_err(|_| {
        let problem = Problem::new(Code::CodeUnknown, format!("there is no code `{typed}`"));
        match did_you_mean(&full, Code::ALL.iter().map(|code| code.text())) {
            Some(meant) => problem.next(format!("mendwright explain {meant}"), "did you mean this?"),
            None => problem.next("mendwright explain --list", "every code with one line"),
        }
    })
}

/// The page of a code, set for a terminal.
#[must_use]
pub fn explain(look: Look, code: Code) -> String {
    let page = PAGES.iter().find(|(name, _)| *name == code.text()).map_or(code.summary(), |(_, page)| page);
    let mut out = String::new();
    let mut paragraph = Paragraph::default();
    let mut fenced = false;
    for line in page.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            paragraph.end(look, &mut out);
            fenced = !fenced;
        } else if fenced {
            out.push_str(&format!("    {line}\n"));
        } else if let Some(heading) = trimmed.strip_prefix('#') {
            paragraph.end(look, &mut out);
            let heading = heading.trim_start_matches('#').trim();
            out.push_str(&format!("{}\n", look.paint(Ink::Bold, heading)));
        } else if trimmed.is_empty() {
            paragraph.end(look, &mut out);
            out.push('\n');
        } else if trimmed.starts_with("- ") || trimmed.starts_with('|') || is_numbered(trimmed) {
            paragraph.end(look, &mut out);
            if trimmed.starts_with('|') {
                out.push_str(&format!("{line}\n"));
            } else {
                paragraph.begin_item(trimmed);
            }
        } else {
            paragraph.add(&trimmed.replace("**", ""));
        }
    }
    paragraph.end(look, &mut out);
    out
}

/// Every code with its one line.
#[must_use]
pub fn codes() -> String {
    use crate::view::look::pad;
    let columns = Code::ALL.iter().map(|code| code.text().len()).max().unwrap_or(0);
    Code::ALL.iter().map(|code| format!("{}   {}\n", pad(code.text(), columns), code.summary())).collect()
}

fn is_numbered(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Text that is set anew in the width of the terminal.
#[derive(Default)]
struct Paragraph {
    text: String,
    /// What stands before the first line: `- `, `1. `.
    bullet: String,
}

impl Paragraph {
    fn begin_item(&mut self, line: &str) {
        let (bullet, text) = line.split_once(' ').unwrap_or((line, ""));
        self.bullet = format!("{bullet} ");
        self.add(text);
    }

    fn add(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(line);
    }

    fn end(&mut self, look: Look, out: &mut String) {
        let indent = self.bullet.chars().count();
        for (i, line) in look.wrap(&self.text, indent).iter().enumerate() {
            let line = if i == 0 { format!("{}{}", self.bullet, line.trim_start()) } else { line.clone() };
            out.push_str(&line);
            out.push('\n');
        }
        self.text.clear();
        self.bullet.clear();
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.text()).collect();
        let pages: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
        assert_eq!(pages, codes, "view/pages.rs lists the codes of core/src/code.rs, in their order");
        for (name, page) in PAGES {
            assert!(page.starts_with(&format!("# {name}")), "the page of {name} begins with its name");
        }
    }

    #[test]
    fn a_page_is_set_for_the_terminal() {
        assert_snapshot!(explain(Look { colours: false, width: 72 }, Code::PlanDrifted));
    }

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        assert_eq!(code("ERR_PLAN_DRIFTED").unwrap(), Code::PlanDrifted);
        assert_eq!(code("plan-drifted").unwrap(), Code::PlanDrifted);
        let problem = code("ERR_PLAN_DRIFTET").unwrap_err();
        assert_eq!(problem.next[0].command, "mendwright explain ERR_PLAN_DRIFTED");
        assert!(code("what\u{202e}").is_err());
    }
}
