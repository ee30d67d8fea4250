//! Columns that line up.

use crate::view::look::{Ink, Look, shorten, width};

/// What the last column gets at least, even if the line becomes longer than the terminal: a reason cut
/// to a few letters says nothing, and a terminal can break a line by itself.
const LAST_COLUMNS_MIN: usize = 48;

/// How the texts of a column line up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    /// On the decimal point.
    Point,
}

/// One text of a grid, escaped already.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) text: String,
    pub(super) ink: Ink,
}

impl Item {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ink: Ink::Plain }
    }

    pub(super) fn inked(text: impl Into<String>, ink: Ink) -> Self {
        Self { text: text.into(), ink }
    }

    pub(super) fn empty() -> Self {
        Self::default()
    }
}

#[derive(Clone, Debug)]
struct Column {
    header: String,
    align: Align,
    /// Spaces before it.
    gap: usize,
}

/// Rows of texts. The last column is never padded, and shortened where it does not fit.
#[derive(Clone, Debug, Default)]
pub(super) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Item>>,
}

/// The columns a text takes before and after its decimal point.
pub(super) fn halves(text: &str) -> (usize, usize) {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '−' | '+'));
    match text.find('.').filter(|_| numeric).and_then(|point| text.split_at_checked(point)) {
        Some((whole, fraction)) => (width(whole), width(fraction)),
        None => (width(text), 0),
    }
}

/// What a column needs: its width, and for [`Align::Point`] the columns before the point.
#[derive(Clone, Copy, Default)]
struct Measure {
    width: usize,
    whole: usize,
    /// Where a header ends that stands over numbers: over the shortest fraction, where most end.
    header_end: usize,
}

impl Grid {
    /// Adds a column.
    pub(super) fn column(mut self, header: impl Into<String>, align: Align, gap: usize) -> Self {
        self.columns.push(Column { header: header.into(), align, gap });
        self
    }

    /// Adds a row; it has as many items as there are columns.
    pub(super) fn row(&mut self, items: Vec<Item>) {
        self.rows.push(items);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn measure(&self, index: usize) -> Measure {
        let Some(column) = self.columns.get(index) else { return Measure::default() };
        let texts = || self.rows.iter().filter_map(|row| row.get(index)).map(|item| item.text.as_str());
        let header = width(&column.header);
        match column.align {
            Align::Left | Align::Right => {
                let width = texts().map(width).max().unwrap_or(0).max(header);
                Measure { width, whole: width, header_end: width }
            }
            Align::Point => {
                let whole = texts().map(|t| halves(t).0).max().unwrap_or(0);
                let fraction = texts().map(|t| halves(t).1).max().unwrap_or(0);
                let least = texts().map(|t| halves(t).1).filter(|f| *f > 0).min().unwrap_or(0);
                // A header longer than its numbers pushes them to the right, not the other way round.
                let whole = whole.max(header.saturating_sub(least));
                Measure { width: whole + fraction, whole, header_end: whole + least }
            }
        }
    }

    /// Columns of the terminal that everything but the last column takes.
    pub(super) fn fixed_width(&self) -> usize {
        let last = self.columns.len().saturating_sub(1);
        let fixed: usize = self.columns.iter().enumerate().take(last).map(|(i, c)| c.gap + self.measure(i).width).sum();
        fixed + self.columns.last().map_or(0, |c| c.gap)
    }

    /// The lines, each ended. With `shorten_last`, the last column gives way where the line is too long.
    pub(super) fn render(&self, look: Look, shorten_last: bool) -> String {
        let measures: Vec<Measure> = (0..self.columns.len()).map(|i| self.measure(i)).collect();
        let room = if shorten_last {
            look.line().saturating_sub(self.fixed_width()).max(LAST_COLUMNS_MIN)
        } else {
            usize::MAX
        };
        let mut out = String::new();
        if self.columns.iter().any(|c| !c.header.is_empty()) {
            let headers: Vec<Item> = self.columns.iter().map(|c| Item::inked(c.header.clone(), Ink::Dim)).collect();
            self.line(look, &measures, &headers, true, usize::MAX, &mut out);
        }
        for row in &self.rows {
            self.line(look, &measures, row, false, room, &mut out);
        }
        out
    }

    fn line(&self, look: Look, measures: &[Measure], items: &[Item], header: bool, room: usize, out: &mut String) {
        let mut line = String::new();
        // Spaces are held back until something follows them: no line ends in one.
        let mut owed = 0;
        let last = self.columns.len().saturating_sub(1);
        for (i, ((column, measure), item)) in self.columns.iter().zip(measures).zip(items).enumerate() {
            owed += column.gap;
            let text = if i == last { shorten(&item.text, room) } else { item.text.clone() };
            let own = width(&text);
            let before = match column.align {
                Align::Left => 0,
                Align::Right => measure.width.saturating_sub(own),
                Align::Point if header => measure.header_end.saturating_sub(own),
                Align::Point => measure.whole.saturating_sub(halves(&text).0),
            };
            if text.is_empty() {
                owed += measure.width;
                continue;
            }
            line.push_str(&" ".repeat(owed + before));
            line.push_str(&look.paint(item.ink, &text));
            owed = measure.width.saturating_sub(before + own);
        }
        out.push_str(&line);
        out.push('\n');
    }
}
