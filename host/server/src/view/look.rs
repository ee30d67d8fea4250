//! Ink and paper: colours, widths, and lines that fit.

use anstyle::{AnsiColor, Effects, Style};
use mendwright_core::text::escape;
use unicode_width::UnicodeWidthStr as _;

/// Nothing reads well in lines longer than this, however wide the terminal is.
const LINE_MAX: usize = 100;

/// How to write for the one who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether to write ANSI colours. The caller decides (`NO_COLOR`, no terminal, `--color`).
    pub colours: bool,
    /// Columns of the terminal; 100 where there is none.
    pub width: usize,
}

impl Look {
    /// No colours, 100 columns: files, pipes, tests.
    pub const PLAIN: Self = Self { colours: false, width: LINE_MAX };

    /// The width that text is set in.
    #[must_use]
    pub const fn line(self) -> usize {
        if self.width > LINE_MAX {
            LINE_MAX
        } else if self.width < 40 {
            40
        } else {
            self.width
        }
    }

    pub(super) fn paint(self, ink: Ink, text: &str) -> String {
        if !self.colours || ink == Ink::Plain || text.trim().is_empty() {
            return text.to_owned();
        }
        let style = ink.style();
        format!("{style}{text}{style:#}")
    }

    /// `left` at the left edge and `right` at the right one; on a line of its own where both do not fit.
    pub(super) fn apart(self, left: (Ink, &str), right: (Ink, &str)) -> String {
        let (left_width, right_width) = (width(left.1), width(right.1));
        let (left, right) = (self.paint(left.0, left.1), self.paint(right.0, right.1));
        if right_width == 0 {
            return left;
        }
        match self.line().checked_sub(left_width + right_width) {
            Some(gap) if gap >= 2 => format!("{left}{}{right}", " ".repeat(gap)),
            _ => format!("{left}\n{}{right}", " ".repeat(self.line().saturating_sub(right_width))),
        }
    }

    /// Sets `parts` behind `label`, joined by `separator`, breaking the line between parts only.
    pub(super) fn parts(self, label: &str, parts: &[String], separator: &str) -> String {
        let indent = LABEL_WIDTH + 2;
        let mut out = format!("  {}", pad(label, LABEL_WIDTH.max(width(label) + 2)));
        let mut used = indent;
        for (i, part) in parts.iter().enumerate() {
            let needed = width(part) + width(separator);
            if i > 0 && used + needed > self.line() {
                out.push_str(separator.trim_end());
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                used = indent;
            } else if i > 0 {
                out.push_str(separator);
                used += width(separator);
            }
            out.push_str(part);
            used += width(part);
        }
        out.push('\n');
        out
    }

    /// Sets running text in lines of this look, each behind `indent` spaces.
    pub(super) fn wrap(self, text: &str, indent: usize) -> Vec<String> {
        let room = self.line().saturating_sub(indent).max(20);
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && width(&line) + 1 + width(word) > room {
                lines.push(format!("{}{line}", " ".repeat(indent)));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            lines.push(format!("{}{line}", " ".repeat(indent)));
        }
        lines
    }
}

/// The column in which the words behind a label of the plan's last block begin, less its indent.
pub(super) const LABEL_WIDTH: usize = 13;

/// What a text is, as far as its colour goes. As Terraform does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ink {
    #[default]
    Plain,
    Bold,
    Dim,
    /// Appears, went well.
    Green,
    /// Changes, wants attention.
    Yellow,
    /// Disappears, went wrong.
    Red,
    /// To be typed.
    Cyan,
}

impl Ink {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Bold => Style::new().effects(Effects::BOLD),
            Self::Dim => Style::new().effects(Effects::DIMMED),
            Self::Green => AnsiColor::Green.on_default(),
            Self::Yellow => AnsiColor::Yellow.on_default(),
            Self::Red => AnsiColor::Red.on_default(),
            Self::Cyan => AnsiColor::Cyan.on_default(),
        }
    }
}

/// Columns of a terminal that `text` takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// `text` and spaces up to `columns`.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// At most `columns` columns of `text` (escaped already), with `…` for the rest.
pub(super) fn shorten(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 0;
    for c in text.chars() {
        let own = width(c.encode_utf8(&mut [0; 4]));
        if used + own + 1 > columns {
            break;
        }
        used += own;
        short.push(c);
    }
    short.push('…');
    short
}

/// Two texts that stand side by side, each shortened to `columns`. What they have in common gives way
/// first: two different texts must not look the same.
pub(super) fn shorten_pair(a: &str, b: &str, columns: usize) -> (String, String) {
    let (short_a, short_b) = (shorten(a, columns), shorten(b, columns));
    if short_a != short_b || a == b {
        return (short_a, short_b);
    }
    let common = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    // A few letters before the difference, so that its place can be found.
    let skip = common.saturating_sub(columns / 3);
    let tail = |text: &str| {
        let rest: String = text.chars().skip(skip).collect();
        shorten(&format!("…{rest}"), columns)
    };
    (tail(a), tail(b))
}

/// Text of strangers as a line may show it.
pub(super) fn safe(text: &str) -> String {
    escape(text)
}
