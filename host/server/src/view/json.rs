//! Machine forms: the plan as one JSON document, or as lines.
//!
//! A terminal may be at the other end all the same: characters that could change how it shows the rest
//! are written as JSON's own `\u…` escapes, so the text that a program reads is unchanged.

use mendwright_core::plan::document::{ChangeRecord, Document};
use mendwright_core::text::escape;
use serde::Serialize;

/// Any of our records as one line of JSON.
#[must_use]
pub fn harmless<T: Serialize>(record: &T) -> String {
    escaped(&serde_json::to_string(record).unwrap_or_default())
}

/// The whole plan, indented, for `--json`.
#[must_use]
pub fn json(document: &Document) -> String {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    let lines: Vec<String> = text.lines().map(escaped).collect();
    format!("{}\n", lines.join("\n"))
}

/// The header line of `--format ndjson`: the plan without its changes.
#[must_use]
pub fn ndjson_header(document: &Document) -> String {
    let header = Document { changes: Vec::new(), ..document.clone() };
    format!("{}\n", harmless(&header))
}

/// One change of `--format ndjson`; lines follow the header in the plan's order.
#[must_use]
pub fn ndjson_change(change: &ChangeRecord) -> String {
    format!("{}\n", harmless(change))
}

/// Header and changes.
#[must_use]
pub fn ndjson(document: &Document, changes: &[ChangeRecord]) -> String {
    std::iter::once(ndjson_header(document)).chain(changes.iter().map(ndjson_change)).collect()
}

/// Outside of strings JSON has only ASCII, so whatever is harmful here stands inside of one.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        let mut buffer = [0; 4];
        let one = c.encode_utf8(&mut buffer);
        if c.is_ascii() || escape(one) == *one {
            out.push(c);
        } else {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::view::sample::{document, total};

    #[test]
    fn a_plan_is_a_header_and_a_line_for_each_change() {
        let mut document = document();
        document.changes.truncate(2);
        document.changes.push(total("7", "1", "2", "a \u{202e}\u{e0041}\n\u{7f} reason"));
        let text = ndjson(&document, &document.changes);
        assert_eq!(text.lines().count(), 4);
        assert!(!text.contains('\u{202e}'));
        let last: ChangeRecord = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last.reason, "a \u{202e}\u{e0041}\n\u{7f} reason");
        assert_snapshot!(text);
    }

    #[test]
    fn the_json_of_a_plan_reads_back() {
        let document = document();
        assert_eq!(serde_json::from_str::<Document>(&json(&document)).unwrap(), document);
    }
}
