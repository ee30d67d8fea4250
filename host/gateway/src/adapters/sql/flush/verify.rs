//! An independent read after the commit: does every row hold what the journal says was written?

use std::sync::Arc;

use mendwright_core::change::Action;

use super::super::connection::{Connection, Role};
use super::super::raw::shown_key;
use super::group::{Group, RowWrite, Shape};
use super::journal::{Entry, Page};
use super::look::{stored, tags};
use super::undo::Of;
use crate::error::Result;

/// What reading back came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Rows that hold what was written.
    pub held: u64,
    /// `resource/key` of the first rows that do not.
    pub differ: Vec<String>,
}

/// Rows that are named; the rest is counted by `held`.
const NAMED_MAX: usize = 100;

/// Reads the rows of a flush back and compares them with its journal, page by page.
pub(crate) async fn verify(of: Of<'_>) -> Result<Verified> {
    let mut connection = Connection::open(of.target, Role::Write).await?;
    let verified = look(&mut connection, of).await;
    match &verified {
        Ok(_) => connection.give_back(of.target, Role::Write).await,
        Err(_) => connection.close().await,
    }
    verified
}

async fn look(connection: &mut Connection, of: Of<'_>) -> Result<Verified> {
    let mut verified = Verified { held: 0, differ: Vec::new() };
    let mut batch = 0;
    while let Some(mut reader) = of.batch(connection, batch).await? {
        while let Some(page) = reader.next(connection).await? {
            look_at_page(connection, of, page, &mut verified).await?;
        }
        batch += 1;
    }
    Ok(verified)
}

async fn look_at_page(connection: &mut Connection, of: Of<'_>, page: Page, verified: &mut Verified) -> Result<()> {
    let Page { head, rows } = page;
    let Some(table) = of.resolved.get(&head.resource) else { return Ok(()) };
    let names = [head.columns.key, Vec::new(), head.columns.after];
    let shape = Shape::new(Arc::clone(table), of.target.engine, head.action, names);
    let write =
        |entry: Entry| RowWrite { key: entry.key, guard: Box::default(), set: entry.after, reason: Box::default() };
    let group = Group { shape, rows: rows.into_iter().map(write).collect() };
    let select: Vec<String> = group.set.iter().map(|column| group.engine.read("t", column)).collect();
    let scope = (group.action != Action::Delete).then_some(of.tenant);
    let now = stored(connection, &group, &group.rows, scope, &select).await?;
    for row in &group.rows {
        let found = now.get(&tags(&row.key));
        let holds = match group.action {
            Action::Delete => found.is_none(),
            Action::Insert | Action::Update => found.is_some_and(|found| **found == *row.set),
        };
        if holds {
            verified.held += 1;
        } else if verified.differ.len() < NAMED_MAX {
            verified.differ.push(format!("{}/{}", group.resolved.name, shown_key(&group.resolved, &row.key)));
        }
    }
    Ok(())
}
