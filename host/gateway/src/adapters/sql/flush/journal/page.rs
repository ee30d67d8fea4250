//! A page of the journal: some rows of one group, and one MAC over all of it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use mendwright_core::change::Action;
use mendwright_core::plan::header::Digest;

use super::super::super::connection::RawRow;
use super::super::super::raw::Raw;
use super::super::super::session::stored_columns;
use super::super::group::{Group, RowWrite};
use super::{FlushId, MacKey};

/// The physical columns of a page's rows, in the order in which their values stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Columns {
    pub(crate) key: Vec<String>,
    /// What is known of the row as it was: the columns written, read, and on the way to the tenant;
    /// for a delete all of them.
    pub(crate) before: Vec<String>,
    /// What was written; for an insert every stored column.
    pub(crate) after: Vec<String>,
}

/// What one row was and became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Box<[Raw]>,
    pub(crate) before: Box<[Raw]>,
    pub(crate) after: Box<[Raw]>,
}

/// What the rows of a page share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) resource: String,
    /// The physical table with its schema, quoted.
    pub(crate) relation: String,
    pub(crate) action: Action,
    pub(crate) columns: Columns,
}

/// Rows of one table to which the same thing was done in the same columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) head: Head,
    pub(crate) rows: Vec<Entry>,
}

impl Head {
    pub(crate) fn of(group: &Group) -> Self {
        let after = match group.action {
            Action::Insert => stored_columns(&group.resolved),
            Action::Update | Action::Delete => group.set.clone(),
        };
        Self {
            resource: group.resolved.name.clone(),
            relation: group.engine.table(group.resolved.schema.as_deref(), &group.resolved.table),
            action: group.action,
            columns: Columns { key: group.key.clone(), before: group.guard.clone(), after },
        }
    }
}

/// What was known, done and stored of each row of a batch: key, before, after. Inserted rows are
/// journaled as the database stores them.
pub(crate) fn entries<'a>(
    batch: &'a [RowWrite],
    stored: &'a [RawRow],
) -> impl ExactSizeIterator<Item = [&'a [Raw]; 3]> {
    batch.iter().enumerate().map(|(n, row)| {
        let after = stored.get(n).map_or(row.set.as_ref(), Vec::as_slice);
        [row.key.as_ref(), row.guard.as_ref(), after]
    })
}

/// A page as its table keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) page: i64,
    pub(super) resource: String,
    pub(super) relation: String,
    pub(super) action: String,
    /// [`Columns`] as JSON.
    pub(super) columns: String,
    /// JSON, one row a line: tagged strings, in the order of the columns.
    pub(super) rows: String,
    /// How many rows.
    pub(super) changes: i64,
    pub(super) mac: String,
}

/// What is signed of a page. The fields stand in the order of RFC 8785, so that the JSON is its
/// canonical form as it is written.
#[derive(Serialize)]
struct Signed<'a> {
    action: &'a str,
    batch: u32,
    changes: i64,
    columns: &'a str,
    generation: u32,
    page: i64,
    relation: &'a str,
    resource: &'a str,
    rows: String,
    run: &'a str,
}

impl Stored {
    /// A page to be kept, signed.
    pub(super) fn new<'a>(
        key: &MacKey,
        id: FlushId<'_>,
        page: i64,
        head: &Head,
        rows: impl ExactSizeIterator<Item = [&'a [Raw]; 3]>,
    ) -> Self {
        let mut stored = Self {
            page,
            resource: head.resource.clone(),
            relation: head.relation.clone(),
            action: head.action.word().to_owned(),
            // Lists of strings always serialize.
            columns: serde_json::to_string(&head.columns).unwrap_or_default(),
            changes: i64::try_from(rows.len()).unwrap_or(i64::MAX),
            rows: text(rows),
            mac: String::new(),
        };
        stored.mac = stored.sign(key, id);
        stored
    }

    fn sign(&self, key: &MacKey, id: FlushId<'_>) -> String {
        super::sign(
            key,
            &Signed {
                action: &self.action,
                batch: id.batch,
                changes: self.changes,
                columns: &self.columns,
                generation: id.generation,
                page: self.page,
                relation: &self.relation,
                resource: &self.resource,
                rows: Digest::of(self.rows.as_bytes()).hex(),
                run: id.run,
            },
        )
    }

    /// The page, if it is what this host wrote.
    pub(super) fn open(&self, key: &MacKey, id: FlushId<'_>) -> Option<Page> {
        if self.sign(key, id) != self.mac {
            return None;
        }
        let columns: Columns = serde_json::from_str(&self.columns).ok()?;
        let (first, second) = (columns.key.len(), columns.key.len() + columns.before.len());
        let lines: Vec<Vec<Cow<'_, str>>> = serde_json::from_str(&self.rows).ok()?;
        let rows = lines
            .into_iter()
            .map(|line| {
                let mut raws = line.iter().map(|text| Raw::from_tagged(text)).collect::<Option<Vec<Raw>>>()?;
                if raws.len() != second + columns.after.len() {
                    return None;
                }
                let after = raws.split_off(second);
                let before = raws.split_off(first);
                Some(Entry { key: raws.into(), before: before.into(), after: after.into() })
            })
            .collect::<Option<Vec<Entry>>>()?;
        let head = Head {
            resource: self.resource.clone(),
            relation: self.relation.clone(),
            action: self.action.parse().ok()?,
            columns,
        };
        Some(Page { head, rows })
    }
}

/// JSON that a DBA can read: one row a line.
fn text<'a>(rows: impl Iterator<Item = [&'a [Raw]; 3]>) -> String {
    let mut text = String::from("[");
    for (n, parts) in rows.enumerate() {
        text.push_str(if n == 0 { "\n[" } else { ",\n[" });
        for (n, raw) in parts.into_iter().flatten().enumerate() {
            text.push_str(if n == 0 { "" } else { "," });
            push_tagged(&mut text, raw);
        }
        text.push(']');
    }
    text.push_str("\n]");
    text
}

/// [`Raw::tagged`] as a JSON string. The forms without a character to escape are written at once.
fn push_tagged(text: &mut String, raw: &Raw) {
    // Writing into a string does not fail.
    let _ = match raw {
        Raw::Null => write!(text, "\"n\""),
        Raw::Integer(i) => write!(text, "\"i:{i}\""),
        Raw::Real(x) => write!(text, "\"f:{:016x}\"", x.to_bits()),
        Raw::Text(t) if t.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') => write!(text, "\"t:{t}\""),
        Raw::Text(_) | Raw::Blob(_) => {
            text.push_str(&serde_json::to_string(&raw.tagged()).unwrap_or_default());
            Ok(())
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: FlushId<'_> = FlushId { run: "run", generation: 1, batch: 0 };

    fn page() -> (Head, Vec<Vec<Raw>>) {
        let columns =
            Columns { key: vec!["id".into()], before: vec!["a\"".into(), "b".into()], after: vec!["b".into()] };
        let head = Head { resource: "r".into(), relation: "\"s\".\"t\"".into(), action: Action::Update, columns };
        let odd = Raw::Text("é\n\"\\\u{1}\u{7f}\u{2028}".into());
        let first = vec![Raw::Integer(-7), Raw::Null, odd, Raw::Real(-0.0)];
        let second =
            vec![Raw::Text("k".into()), Raw::Blob(vec![0, 255]), Raw::Real(f64::NAN), Raw::Text(String::new())];
        (head, vec![first, second])
    }

    fn parts(row: &[Raw]) -> [&[Raw]; 3] {
        [&row[..1], &row[1..3], &row[3..]]
    }

    #[test]
    fn a_page_reads_back_bit_for_bit_and_says_so_in_json() {
        let (head, rows) = page();
        let key = MacKey([3; 32]);
        let stored = Stored::new(&key, ID, 4, &head, rows.iter().map(|row| parts(row)));
        let lines: Vec<Vec<String>> = serde_json::from_str(&stored.rows).unwrap();
        assert_eq!(lines[0], rows[0].iter().map(Raw::tagged).collect::<Vec<_>>());
        let page = stored.open(&key, ID).unwrap();
        assert_eq!(page.head, head);
        let read: Vec<Vec<Raw>> =
            page.rows.iter().map(|e| [&e.key, &e.before, &e.after].into_iter().flatten().cloned().collect()).collect();
        assert_eq!(read, rows);
    }

    #[test]
    fn nothing_of_a_page_can_be_changed_unseen() {
        let (head, rows) = page();
        let key = MacKey([3; 32]);
        let stored = Stored::new(&key, ID, 4, &head, rows.iter().map(|row| parts(row)));
        let edits: [fn(&mut Stored); 7] = [
            |s| s.page += 1,
            |s| s.resource.push('x'),
            |s| s.relation.push('x'),
            |s| s.action = "delete".into(),
            |s| s.columns = s.columns.replace("\"b\"", "\"c\""),
            |s| s.rows = s.rows.replace("i:-7", "i:-8"),
            |s| s.changes += 1,
        ];
        for (n, edit) in edits.into_iter().enumerate() {
            let mut edited = stored.clone();
            edit(&mut edited);
            assert!(edited != stored && edited.open(&key, ID).is_none(), "edit {n}");
        }
        assert!(stored.open(&key, FlushId { run: "other", ..ID }).is_none());
        assert!(stored.open(&key, FlushId { generation: 0, ..ID }).is_none());
        assert!(stored.open(&key, FlushId { batch: 1, ..ID }).is_none());
        assert!(stored.open(&MacKey([4; 32]), ID).is_none());
    }
}
