//! What undoing a run would do, row by row, as people see it and as they approve it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::Action;
use crate::merkle::Tree;
use crate::plan::Digest;
use crate::plan::document::Cell;

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The resource.
    pub resource: String,
    /// The key.
    pub key: String,
    /// What the run did to it; the undo does the opposite.
    pub did: Action,
    /// Why it stays as it is; absent where it is restored.
    pub conflict: Option<String>,
    /// Column → values. Sensitive columns are left out.
    pub cells: BTreeMap<String, Cells>,
}

/// One column of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    /// Before the run.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub before: Option<Cell>,
    /// What the run wrote.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub wrote: Option<Cell>,
    /// What is there now.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub now: Option<Cell>,
}

/// A cell that is there and null is NULL; one that is absent is no cell.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Cell>, D::Error> {
    Cell::deserialize(deserializer).map(Some)
}

/// What people confirm and approve of the undo of one flush: which rows are restored, from what to what, and
/// which stay as they are and why. `writes` stands for the exact bytes that are written, sensitive ones among
/// them; the rest is what is shown, so that whoever signs can hash what they see.
///
/// What is there now of a row that stays is not in it: nothing of it is written, and an application that goes on
/// writing such a row must not be able to hold the undo of the others back.
pub fn digest(run: &str, generation: u32, writes: &Digest, rows: impl IntoIterator<Item = Row>) -> Digest {
    let mut shown = Tree::default();
    for Row { resource, key, did, conflict, mut cells } in rows {
        cells.values_mut().for_each(|cell| cell.now = None);
        let leaf = serde_json::to_vec(&(resource, key, did.word(), conflict, cells));
        shown.push(&leaf.unwrap_or_default());
    }
    Digest::of_json(&("mendwright undo v2", run, generation, writes, Digest(shown.root())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let plain = |text: &str| Some(Cell::Plain(Some(text.to_owned())));
        let cells = Cells { before: plain("1.00"), wrote: plain("2.00"), now: plain("2.00") };
        Row {
            resource: "invoices".into(),
            key: "6".into(),
            did: Action::Update,
            conflict: None,
            cells: [("total".to_owned(), cells)].into(),
        }
    }

    fn of(rows: Vec<Row>) -> Digest {
        digest("run_1", 0, &Digest([1; 32]), rows)
    }

    /// NothingElseIsApproved: whatever else an undo would do has another digest.
    #[test]
    fn another_undo_has_another_digest() {
        let changed = |change: fn(&mut Row)| {
            let mut row = row();
            change(&mut row);
            of(vec![row])
        };
        let total = |row: &mut Row, change: fn(&mut Cells)| row.cells.values_mut().for_each(change);
        let mut all = vec![
            of(vec![row()]),
            of(vec![]),
            of(vec![row(), row()]),
            digest("run_2", 0, &Digest([1; 32]), vec![row()]),
            digest("run_1", 1, &Digest([1; 32]), vec![row()]),
            digest("run_1", 0, &Digest([2; 32]), vec![row()]),
            changed(|row| row.resource.push('x')),
            changed(|row| row.key.push('x')),
            changed(|row| row.did = Action::Delete),
            changed(|row| row.conflict = Some("changed since".into())),
            changed(|row| row.conflict = Some("it is gone".into())),
            changed(|row| row.cells.clear()),
        ];
        for change in [
            (|cells| cells.before = None) as fn(&mut Cells),
            |cells| cells.before = Some(Cell::Plain(None)),
            |cells| cells.wrote = None,
            |cells| cells.before = Some(Cell::Plain(Some("1.01".into()))),
        ] {
            let mut row = row();
            total(&mut row, change);
            all.push(of(vec![row]));
        }
        let n = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    #[test]
    fn what_is_there_now_of_a_row_that_stays_holds_nothing_back() {
        let stays = |now: &str| {
            let mut row = Row { conflict: Some("changed since".into()), ..row() };
            row.cells.values_mut().for_each(|cell| cell.now = Some(Cell::Plain(Some(now.to_owned()))));
            of(vec![row])
        };
        assert_eq!(stays("3.00"), stays("4.00"));
    }

    #[test]
    fn a_null_and_no_cell_are_two_things() {
        let cells = Cells { before: Some(Cell::Plain(None)), wrote: None, now: Some(Cell::Plain(None)) };
        let text = serde_json::to_string(&cells).unwrap();
        assert_eq!(text, r#"{"before":null,"now":null}"#);
        assert_eq!(serde_json::from_str::<Cells>(&text).unwrap(), cells);
    }
}
