//! An independent read after the commit: does every row hold what the journal says was written?

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::binding::Resolved;
use mendwright_core::change::Action;
use mendwright_core::code::Code;

use super::super::connection::{Connection, Role};
use super::super::raw::shown_key;
use super::group::{Write, arrange};
use super::journal::{self, Generation, MacKey};
use super::lock;
use crate::error::{Error, Result};
use crate::target::Target;

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

/// Reads the rows of a flush back and compares them with its journal.
pub(crate) async fn verify(
    target: &Target,
    key: &MacKey,
    (run, generation): (&str, Generation),
    tenant: &str,
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<Verified> {
    let mut connection = Connection::open(target, Role::Write).await?;
    let Some((_, entries)) = journal::read(&mut connection, target, key, run, generation).await? else {
        return Err(Error::refused(Code::JournalExpired, "the target's journal does not hold this run"));
    };
    let writes: Vec<Write> = entries
        .into_iter()
        .map(|entry| Write {
            resource: entry.resource,
            action: entry.action,
            key: entry.key,
            guard: Vec::new(),
            set: entry.after,
        })
        .collect();
    let engine = connection.engine();
    let mut verified = Verified { held: 0, differ: Vec::new() };
    for group in arrange(writes, resolved) {
        let select: Vec<String> = group.set.iter().map(|column| engine.read("t", column)).collect();
        let scope = (group.action != Action::Delete).then_some(tenant);
        let now = lock::stored(&mut connection, &group, &group.rows, scope, &select).await?;
        for row in &group.rows {
            let found = now.get(&lock::tags(&row.key));
            let holds = match group.action {
                Action::Delete => found.is_none(),
                Action::Insert | Action::Update => found == Some(&row.set),
            };
            if holds {
                verified.held += 1;
            } else if verified.differ.len() < NAMED_MAX {
                verified.differ.push(format!("{}/{}", group.resolved.name, shown_key(&group.resolved, &row.key)));
            }
        }
    }
    connection.close().await;
    Ok(verified)
}
