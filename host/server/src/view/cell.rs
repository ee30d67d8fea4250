//! One value as a table shows it.

use std::collections::BTreeMap;

use mendwright_core::commitment::Bound;
use mendwright_core::decimal::Decimal;
use mendwright_core::kind::Kind;
use mendwright_core::plan::document::Cell;

use crate::view::grid::{Align, Item};
use crate::view::look::{Ink, safe};
use crate::view::number::{minus, rounded, signed};

/// What a column of a document holds: `decimal(10,2) USD`.
#[derive(Clone, Debug, Default)]
pub(super) struct ColumnKind {
    pub(super) kind: Option<Kind>,
    pub(super) currency: String,
}

impl ColumnKind {
    /// Reads `resources[].columns`.
    pub(super) fn of(columns: &BTreeMap<String, String>, column: &str) -> Self {
        let Some(text) = columns.get(column) else { return Self::default() };
        let (kind, currency) = text.split_once(' ').unwrap_or((text, ""));
        Self { kind: kind.parse().ok(), currency: currency.to_owned() }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self.kind, Some(Kind::Integer | Kind::Float | Kind::Decimal(_)))
    }

    pub(super) const fn is_decimal(&self) -> bool {
        matches!(self.kind, Some(Kind::Decimal(_)))
    }

    pub(super) fn scale(&self) -> Option<usize> {
        self.kind.and_then(Kind::scale).map(usize::from)
    }

    pub(super) const fn align(&self) -> Align {
        if self.is_number() { Align::Point } else { Align::Left }
    }

    /// The value, escaped, as a diff shows it.
    pub(super) fn show(&self, cell: Option<&Cell>) -> Item {
        match cell {
            None => Item::empty(),
            Some(Cell::Masked { masked }) => {
                // Four digits tell two masked values apart and say nothing about either.
                Item::inked(format!("••••{}", masked.chars().take(4).collect::<String>()), Ink::Dim)
            }
            Some(Cell::Plain(None)) => Item::inked("NULL", Ink::Dim),
            Some(Cell::Plain(Some(text))) => Item::new(self.show_text(text)),
        }
    }

    fn show_text(&self, text: &str) -> String {
        match self.kind {
            Some(Kind::Decimal(_)) => match text.parse::<Decimal>() {
                Ok(number) => minus(&self.scale().and_then(|s| number.padded(s)).unwrap_or_else(|| number.to_string())),
                Err(_) => quoted(text),
            },
            Some(Kind::Integer | Kind::Float) => minus(&safe(text)),
            Some(Kind::Bytes) => format!("x'{}'", safe(text)),
            Some(Kind::Boolean | Kind::Timestamp) => safe(text),
            Some(Kind::Text | Kind::Json) | None => quoted(text),
        }
    }

    /// The value of a typed change.
    pub(super) fn show_bound(&self, bound: Option<&Bound>) -> Item {
        self.show(bound.map(Cell::from).as_ref())
    }

    /// `after` less `before`, rounded to the column's scale, and whether rounding hid all of it.
    pub(super) fn delta(&self, before: Option<&Cell>, after: Option<&Cell>) -> Option<(String, bool)> {
        if !self.is_decimal() {
            return None;
        }
        let number = |cell: Option<&Cell>| match cell {
            Some(Cell::Plain(Some(text))) => text.parse::<Decimal>().ok(),
            Some(Cell::Plain(None) | Cell::Masked { .. }) | None => None,
        };
        let delta = &number(after)? - &number(before)?;
        let text = self.scale().map_or_else(|| delta.to_string(), |scale| rounded(&delta, scale));
        let hidden = delta != Decimal::zero() && text.bytes().all(|b| matches!(b, b'0' | b'.' | b'-'));
        // A difference of −0.000002 keeps its direction, although its digits are gone.
        let text = if hidden && delta.is_negative() && !text.starts_with('-') { format!("-{text}") } else { text };
        Some((signed(&text), hidden))
    }
}

/// Text as it is, or in quotes where it could be taken for something else: NULL, a masked value,
/// nothing at all; or where something in it had to be escaped.
fn quoted(text: &str) -> String {
    let escaped = safe(text);
    let ambiguous = text.is_empty()
        || text == "NULL"
        || text.starts_with(['"', '•', '…'])
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
        || text.contains("  ");
    if escaped != text {
        format!("\"{}\"", safe(&text.replace('\\', "\\\\").replace('"', "\\\"")))
    } else if ambiguous {
        format!("\"{}\"", text.replace('"', "\\\""))
    } else {
        escaped
    }
}

/// A key as a person may type it back: `6`, `7/DE`. Key columns in key order.
pub(super) fn key_text(key: &BTreeMap<String, Cell>, order: &[String]) -> String {
    key_items(key, order).iter().map(|item| item.text.as_str()).collect::<Vec<_>>().join("/")
}

/// The key's values in key order; keys keep the plain minus, because people type them back.
pub(super) fn key_items(key: &BTreeMap<String, Cell>, order: &[String]) -> Vec<Item> {
    let ordered: Vec<&Cell> = if order.is_empty() {
        key.values().collect()
    } else {
        order.iter().filter_map(|column| key.get(column)).collect()
    };
    ordered
        .into_iter()
        .map(|cell| match cell {
            Cell::Plain(Some(text)) => Item::new(quoted(text)),
            Cell::Plain(None) | Cell::Masked { .. } => ColumnKind::default().show(Some(cell)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Cell {
        Cell::Plain(Some(text.to_owned()))
    }

    fn kind(text: &str) -> ColumnKind {
        ColumnKind::of(&BTreeMap::from([("c".to_owned(), text.to_owned())]), "c")
    }

    #[test]
    fn values_that_differ_never_look_the_same() {
        let text = kind("text");
        let show = |cell: Cell| text.show(Some(&cell)).text;
        assert_eq!(show(Cell::Plain(None)), "NULL");
        assert_eq!(show(plain("NULL")), "\"NULL\"");
        assert_eq!(show(plain("")), "\"\"");
        assert_eq!(show(plain(" a")), "\" a\"");
        assert_eq!(show(plain("a\nb")), "\"a\\nb\"");
        assert_eq!(show(plain("a\\nb")), "a\\nb");
        assert_eq!(show(plain("••••ab12")), "\"••••ab12\"");
        assert_eq!(show(Cell::Masked { masked: "ab12cd34".into() }), "••••ab12");
        assert_eq!(show(plain("\u{202e}evil")), "\"\\u{202e}evil\"");
        assert_eq!(show(plain("東京")), "東京");
    }

    #[test]
    fn decimals_take_their_columns_scale_where_they_have_no_more_digits() {
        let total = kind("decimal(10,2) USD");
        assert_eq!(total.currency, "USD");
        assert_eq!(total.show(Some(&plain("9.9"))).text, "9.90");
        assert_eq!(total.show(Some(&plain("-1.98"))).text, "−1.98");
        assert_eq!(total.show(Some(&plain("10.6029"))).text, "10.6029");
        assert_eq!(total.delta(Some(&plain("10.6029")), Some(&plain("8.91"))), Some(("−1.69".into(), false)));
        let tiny = total.delta(Some(&plain("13.859999999999998")), Some(&plain("13.86")));
        assert_eq!(tiny, Some(("+0.00".into(), true)));
        let tiny = total.delta(Some(&plain("13.860000000000001")), Some(&plain("13.86")));
        assert_eq!(tiny, Some(("−0.00".into(), true)));
        assert_eq!(kind("integer").delta(Some(&plain("1")), Some(&plain("2"))), None);
    }
}
