//! An error in a file that a person wrote: where it stands, the line itself, and what to do about it.
//!
//! ```text
//! error[ERR_CONFIG_COLUMN]: resource `invoices` has no column `totl`
//!   --> mendwright.toml:67:39
//! 67 | allow.invoices      = { read = ["id", "totl"], write = ["total"], operations = ["update"] }
//!    |                                       ^^^^^^ did you mean `total`?
//! ```
//!
//! **Invariant**: a password inside a URL is never part of what is shown, whatever the error is about.

use std::fmt;
use std::ops::Range;

use mendwright_core::code::Code;
use mendwright_core::text::{escape, escape_short};

/// Errors shown at once. A person repairs a few and asks again; more only scrolls the first away.
pub const DIAGNOSTICS_MAX: usize = 20;

/// Characters of a source line that are shown; more would wrap and the caret would point nowhere.
const LINE_CHARS_MAX: usize = 160;

/// Where in a file something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the person named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, safe to show.
    pub text: String,
    /// Which characters of `text` the error is about.
    pub carets: Range<usize>,
}

/// One error: what is wrong, where, and the next thing to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where it stands, if it stands in a file.
    pub place: Option<Box<Place>>,
    /// A short hint beside the caret.
    pub label: Option<String>,
    /// The next thing to do or type.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place. The message may quote strangers' text: it is escaped here.
    #[must_use]
    pub fn new(code: Code, message: impl AsRef<str>) -> Self {
        Self { code, message: escape(message.as_ref()), place: None, label: None, help: None }
    }

    /// The same error, at this place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// The same error, with this beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        self.label = Some(escape(label.as_ref()));
        self
    }

    /// The same error, with this as the next thing to do.
    #[must_use]
    pub fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(escape(help.as_ref()));
        self
    }

    /// The same error, with `did you mean` where one of `candidates` is near, else with `otherwise`.
    #[must_use]
    pub fn near<'a>(self, typed: &str, candidates: impl IntoIterator<Item = &'a str>, otherwise: &str) -> Self {
        match nearest(typed, candidates) {
            Some(meant) => self.label(format!("did you mean `{meant}`?")),
            None if otherwise.is_empty() => self,
            None => self.label(otherwise),
        }
    }
}

/// The one of `candidates` that was meant: by core's distance, or the same letters in another order,
/// which in short names (`tabel`) is already too far for it.
#[must_use]
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let letters = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    let near = mendwright_core::text::did_you_mean(typed, candidates.iter().copied());
    near.or_else(|| candidates.into_iter().find(|candidate| letters(candidate) == letters(typed)))
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        let margin = self.place.as_ref().map_or(1, |place| place.line.to_string().len());
        if let Some(place) = &self.place {
            write!(f, "\n{:margin$}--> {}:{}:{}", "", escape(&place.file), place.line, place.column)?;
            write!(f, "\n{} | {}", place.line, place.text)?;
            let carets = "^".repeat(place.carets.len().max(1));
            write!(f, "\n{:margin$} | {:skip$}{carets}", "", "", skip = place.carets.start)?;
        }
        match (&self.label, &self.place) {
            (Some(label), Some(_)) => write!(f, " {label}")?,
            (Some(label), None) => write!(f, "\n{:margin$} = {label}", "")?,
            (None, _) => {}
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:margin$} = help: {help}", "")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// What is wrong with a file: at least one error, at most [`DIAGNOSTICS_MAX`] of them, in the file's
/// order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    first: Box<Diagnostic>,
    rest: Vec<Diagnostic>,
    /// How many more there were.
    left_out: usize,
}

impl Diagnostics {
    /// Every error that was kept, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        std::iter::once(&*self.first).chain(&self.rest)
    }

    /// The first error: its code stands for all.
    #[must_use]
    pub fn first(&self) -> &Diagnostic {
        &self.first
    }

    /// How many errors there were in all.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.rest.len() + self.left_out
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(first: Diagnostic) -> Self {
        Self { first: Box::new(first), rest: Vec::new(), left_out: 0 }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.iter().enumerate() {
            let gap = if i == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{diagnostic}")?;
        }
        match self.left_out {
            0 => Ok(()),
            1 => write!(f, "\n\n… and 1 more error"),
            more => write!(f, "\n\n… and {more} more errors"),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// Collects errors while a file is read.
#[derive(Debug, Default)]
pub struct Report {
    found: Vec<Diagnostic>,
}

impl Report {
    /// One more error. The same one at the same place counts once.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    /// Whether nothing was wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// `value`, if nothing was wrong.
    ///
    /// # Errors
    /// Everything that was pushed.
    pub fn finish<T>(mut self, value: T) -> Result<T, Diagnostics> {
        self.found.sort_by_key(|d| d.place.as_ref().map(|p| (p.line, p.column)));
        let left_out = self.found.len().saturating_sub(DIAGNOSTICS_MAX);
        self.found.truncate(DIAGNOSTICS_MAX);
        let mut found = self.found.into_iter();
        match found.next() {
            None => Ok(value),
            Some(first) => Err(Diagnostics { first: Box::new(first), rest: found.collect(), left_out }),
        }
    }
}

/// A file's name and text, to show places of.
#[derive(Clone, Debug)]
pub struct Source {
    file: String,
    text: String,
}

impl Source {
    /// A file. `file` is what people are shown.
    #[must_use]
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into() }
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of these bytes. Bytes outside the text mean its end.
    #[must_use]
    pub fn place(&self, span: &Range<usize>) -> Place {
        let start = self.floor(span.start);
        let end = self.floor(span.end.max(start));
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let within = start.saturating_sub(line_start)..end.saturating_sub(line_start).min(line.len());
        let (text, carets) = shown(line, &within);
        Place {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            text,
            carets,
        }
    }

    fn floor(&self, mut at: usize) -> usize {
        at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// The line without passwords and without anything that could fool a terminal, cut around the span;
/// and where the span is then, in characters.
fn shown(line: &str, span: &Range<usize>) -> (String, Range<usize>) {
    let secrets = passwords(line);
    let mut text: Vec<char> = Vec::new();
    let (mut start, mut end) = (None, None);
    for (at, c) in line.char_indices() {
        if at >= span.start {
            start.get_or_insert(text.len());
        }
        if at >= span.end {
            end.get_or_insert(text.len());
        }
        match secrets.iter().find(|secret| secret.contains(&at)) {
            Some(secret) if secret.start == at => text.extend("***".chars()),
            Some(_) => {}
            None if c == '\t' => text.push(' '),
            None => text.extend(escape(c.encode_utf8(&mut [0; 4])).chars()),
        }
    }
    let start = start.unwrap_or(text.len());
    let end = end.unwrap_or(text.len()).max(start);
    // A caret far to the right pulls the window along; a quarter of it stays as context.
    let from = if end <= LINE_CHARS_MAX { 0 } else { start.saturating_sub(LINE_CHARS_MAX / 4) };
    let rest: String = text.iter().skip(from).collect();
    let mut window = escape_short(&rest, LINE_CHARS_MAX);
    let mut shift = 0;
    if from > 0 {
        window.insert(0, '…');
        shift = 1;
    }
    let last = window.chars().count().max(start - from + shift);
    (window, start - from + shift..(end - from + shift).min(last))
}

/// Where passwords of URLs stand in a line, in bytes: between the first `:` after `://` and the last
/// `@` before the string's end. Rather too much than too little.
fn passwords(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = line.get(from..).and_then(|rest| rest.find("://")) {
        let start = from + at + 3;
        let rest = line.get(start..).unwrap_or_default();
        let end = start + rest.find(['"', '\'']).unwrap_or(rest.len());
        let url = line.get(start..end).unwrap_or_default();
        if let Some((user, host)) = url.find(':').zip(url.rfind('@')).filter(|(colon, at)| colon < at) {
            found.push(start + user + 1..start + host);
        }
        for key in ["password=", "passwd="] {
            if let Some(at) = url.to_ascii_lowercase().find(key) {
                let value = start + at + key.len();
                let length = line.get(value..end).map_or(0, |v| v.find('&').unwrap_or(v.len()));
                found.push(value..value + length);
            }
        }
        from = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, part: &str) -> String {
        let start = text.find(part).unwrap();
        let place = Source::new("a.toml", text).place(&(start..start + part.len()));
        Diagnostic::new(Code::ConfigValue, "no").at(place).label("this").to_string()
    }

    #[test]
    fn an_error_shows_its_line_and_points_at_the_spot() {
        assert_eq!(
            show("a = 1\nbcd = \"x\"\n", "\"x\""),
            "error[ERR_CONFIG_VALUE]: no\n --> a.toml:2:7\n2 | bcd = \"x\"\n  |       ^^^ this"
        );
        assert!(show("ä\tö = 1 # \u{202e}", "1").contains("1 | ä ö = 1 # \\u{202e}\n  |       ^ this"));
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in ["postgres://app:hunter2@db/x", "postgres://a:hun@ter2@h/x", "pg://h/x?password=hunter2&a=b"] {
            let text = format!("url = \"{url}\", other = 1");
            let shown = show(&text, "other");
            assert!(!shown.contains("ter2") && shown.contains("***"), "{shown}");
            let caret = shown.lines().last().unwrap().find('^').unwrap();
            assert_eq!(shown.lines().nth(2).unwrap().find("other"), Some(caret), "{shown}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("a = [{}7, {}]", "1, ".repeat(200), "2, ".repeat(200));
        let shown = show(&text, "7");
        let lines: Vec<_> = shown.lines().collect();
        let caret = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().nth(caret), Some('7'), "{shown}");
        assert!(lines[2].chars().count() < LINE_CHARS_MAX + 10);
    }

    #[test]
    fn more_errors_than_a_person_reads_are_counted() {
        let mut report = Report::default();
        for n in 0..DIAGNOSTICS_MAX + 3 {
            report.push(Diagnostic::new(Code::ConfigKey, format!("{n}")));
        }
        let all = report.finish(()).unwrap_err();
        assert_eq!((all.iter().count(), all.count()), (DIAGNOSTICS_MAX, DIAGNOSTICS_MAX + 3));
        assert!(all.to_string().ends_with("… and 3 more errors"));
    }
}
