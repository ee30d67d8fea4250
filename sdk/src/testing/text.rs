//! Reads tables as tests write them.

use crate::value::Kind;

/// A column as the header says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) kind: Option<Kind>,
    pub(super) scale: Option<u8>,
    pub(super) currency: Option<String>,
    pub(super) key: bool,
}

/// A table as it is written, values still as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) columns: Vec<Header>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

pub(super) fn parse(table: &str, text: &str) -> Source {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let header = lines.next().unwrap_or_else(|| panic!("table `{table}` needs a first line with its columns"));
    let columns: Vec<_> = header.split('|').map(|cell| column(table, cell.trim())).collect();
    let rows = lines.map(|line| {
        let cells = cells(line);
        let n = cells.len();
        assert!(n == columns.len(), "`{table}` has {} columns and this row {n}: {line}", columns.len());
        cells
    });
    Source { rows: rows.collect(), columns }
}

/// `name`, `name*`, `name:kind`, `name:decimal(10,2) USD`.
fn column(table: &str, text: &str) -> Header {
    let (text, currency) = match text.split_once(' ') {
        Some((text, currency)) => (text, Some(currency.trim().to_owned())),
        None => (text, None),
    };
    let (name, kind) = text.split_once(':').map_or((text, None), |(name, kind)| (name, Some(kind)));
    let key = name.ends_with('*');
    let name = name.trim_end_matches('*').to_owned();
    assert!(!name.is_empty(), "`{table}` has a column without a name");
    let (word, size) = match kind.and_then(|kind| kind.split_once('(')) {
        Some((word, size)) => (Some(word), Some(size.trim_end_matches(')'))),
        None => (kind, None),
    };
    let unknown = || -> ! { panic!("`{table}.{name}`: `{}` is no kind", kind.unwrap_or_default()) };
    let scale = size.map(|size| match size.rsplit_once(',').and_then(|(_, scale)| scale.trim().parse().ok()) {
        Some(scale) => scale,
        None => unknown(),
    });
    let kind = word.map(|word| Kind::from_word(word).unwrap_or_else(|| unknown()));
    Header { name, kind, scale, currency, key }
}

fn cells(line: &str) -> Vec<Option<String>> {
    let (mut cells, mut start, mut quoted) = (Vec::new(), 0, false);
    for (place, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '|' if !quoted => {
                cells.push(cell(line.get(start..place).unwrap_or_default()));
                start = place + 1;
            }
            _ => {}
        }
    }
    cells.push(cell(line.get(start..).unwrap_or_default()));
    cells
}

fn cell(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    match (inner, text) {
        (Some(inner), _) => Some(inner.to_owned()),
        (None, "∅" | "NULL") => None,
        (None, text) => Some(text.to_owned()),
    }
}

/// The kind that all these values have; text where they have none in common.
pub(super) fn infer<'a>(values: impl Iterator<Item = &'a str> + Clone) -> Kind {
    let all = |kind: Kind| values.clone().all(|text| kind.parse(text).is_some());
    if values.clone().next().is_none() {
        return Kind::Text;
    }
    [Kind::Integer, Kind::Decimal, Kind::Boolean].into_iter().find(|kind| all(*kind)).unwrap_or(Kind::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_with_its_kinds_nulls_and_quotes() {
        let source =
            parse("t", "\n id* | total:decimal(10,2) USD | note \n 7 | ∅ | \" a | NULL\" \n\n 8 | 1.5 | NULL\n");
        let total = Header {
            name: "total".into(),
            kind: Some(Kind::Decimal),
            scale: Some(2),
            currency: Some("USD".into()),
            key: false,
        };
        assert_eq!(source.columns.get(1), Some(&total));
        assert!(source.columns.first().is_some_and(|id| id.key && id.kind.is_none()));
        let rows = [[Some("7"), None, Some(" a | NULL")], [Some("8"), Some("1.5"), None]];
        assert_eq!(source.rows, rows.map(|row| row.map(|cell| cell.map(str::to_owned)).to_vec()));
    }

    #[test]
    fn kinds_are_inferred_from_all_values() {
        let check = |values: &[&str], kind| assert_eq!(infer(values.iter().copied()), kind, "{values:?}");
        check(&["1", "-2"], Kind::Integer);
        check(&["1", "2.5"], Kind::Decimal);
        check(&["true", "false"], Kind::Boolean);
        check(&["1", "x"], Kind::Text);
        check(&[], Kind::Text);
    }

    #[test]
    #[should_panic(expected = "has 2 columns and this row 1")]
    fn a_row_that_is_too_short_stops_the_test() {
        let _ = parse("t", "a | b\n 1");
    }
}
