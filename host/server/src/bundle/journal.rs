//! Whether the target's journal is what the audit log says that it was: the log holds the root over each flush's
//! pages, and so nobody exchanges one of them unseen, not even who has the host's key.

use std::collections::BTreeMap;

use mendwright_core::merkle::Tree;
use mendwright_core::plan::Digest;
use mendwright_store::Entry;

use super::verify::Found;
use super::{Bundle, JournalFlush};

/// Which flush: generation and batch.
type Place = (String, String);

/// Each flush of the log is in the journal as the log has it, and none is there beside.
pub(super) fn check(bundle: &Bundle, plan: Digest, entries: &[Entry]) -> Found {
    let Some(journal) = &bundle.journal else { return Ok(None) };
    let mut told: BTreeMap<Place, &Entry> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| ["target.flushed", "target.rolled_back"].contains(&entry.kind.as_str()))
    {
        let word = |name: &str| entry.body.get(name).map_or("0", String::as_str).to_owned();
        told.insert((word("generation"), word("batch")), entry);
    }
    if told.is_empty() && journal.is_empty() {
        return Ok(None);
    }
    let (mut n_pages, mut n_expired) = (0, 0);
    for flush in journal {
        let name = named(flush);
        let entry = told.remove(&(flush.generation.to_string(), flush.batch.to_string()));
        let entry = entry.ok_or_else(|| format!("the log has nothing of {name}"))?;
        let says = |what: &str, text: String| match entry.body.get(what) {
            Some(said) if *said != text => {
                Err(format!("{name}: the log says {said} of its {what}, and this is {text}"))
            }
            Some(_) | None => Ok(()),
        };
        says(if flush.generation == 0 { "plan" } else { "undo" }, flush.digest.to_string())?;
        says("changes_count", flush.changes.to_string())?;
        if flush.generation == 0 && flush.digest != plan {
            return Err(format!("{name} applied another plan"));
        }
        if flush.macs.is_empty() {
            n_expired += 1;
            continue;
        }
        let mut tree = Tree::default();
        flush.macs.iter().for_each(|mac| tree.push(mac.as_bytes()));
        if !entry.body.contains_key("journal_root") {
            return Err(format!("the log does not say what the pages of {name} were"));
        }
        says("journal_root", Digest(tree.root()).to_string())?;
        n_pages += flush.macs.len();
    }
    if let Some((generation, batch)) = told.into_keys().next() {
        return Err(format!(
            "the journal has nothing of generation {generation}, batch {batch}, of which the log tells"
        ));
    }
    let expired = if n_expired == 0 { String::new() } else { format!(", {n_expired} no longer kept") };
    Ok(Some(format!("{} in {} pages{expired}", counted(journal.len()), n_pages)))
}

fn counted(n: usize) -> String {
    if n == 1 { "1 flush".to_owned() } else { format!("{n} flushes") }
}

fn named(JournalFlush { generation, batch, .. }: &JournalFlush) -> String {
    format!("generation {generation}, batch {batch}")
}
