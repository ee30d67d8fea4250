//! The audit log's first step: a fact is written in the transaction of what it tells of, and has no place
//! in the log yet. The sequencer gives it one.

use std::collections::BTreeMap;

use mendwright_core::plan::Digest;
use mendwright_core::tlog::tile::ENTRY_BYTES_MAX;
use mendwright_crash::{Point, reached};

use crate::db::{Conn, Param, Query, insert, together};
use crate::error::{Error, Result};
use crate::run::{RunNumber, RunRecord};
use crate::store::Store;

/// What a body may take of an entry at most: the rest is for its other fields, escaped as JSON.
const BODY_BYTES_MAX: usize = ENTRY_BYTES_MAX / 2;

/// A longer text gives way to its digest where a body is too long: a sentence of a person is shorter.
const TEXT_BYTES_KEPT: usize = 256;

/// A name that is longer gives way to its digest: an entry must fit, whatever somebody typed.
const NAME_BYTES_MAX: usize = 2_048;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    at_us: i64,
    kind: &'static str,
    run: Option<RunNumber>,
    tenant: Option<String>,
    actor: String,
    body: BTreeMap<&'static str, String>,
    again: Again,
}

/// What it means that a fact is told again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Again {
    /// Another fact.
    Another,
    /// The same, once more: it counts up until it is sequenced.
    Counts(String),
    /// The same telling: it changes nothing, ever.
    Nothing(String),
}

impl Fact {
    /// A fact of this kind, by `actor` (`person:alice`, `host:a`, …).
    #[must_use]
    pub fn new(kind: &'static str, actor: &str, at_us: i64) -> Self {
        let (body, actor) = (BTreeMap::new(), actor.to_owned());
        Self { at_us, kind, run: None, tenant: None, actor, body, again: Again::Another }
    }

    /// It is about this run.
    #[must_use]
    pub const fn run(mut self, run: RunNumber) -> Self {
        self.run = Some(run);
        self
    }

    /// It is about this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// One more thing to say of it. Never a value of a tenant's row.
    #[must_use]
    pub fn say(mut self, what: &'static str, text: impl ToString) -> Self {
        self.body.insert(what, text.to_string());
        self
    }

    /// Told again under this key it counts up, until it is sequenced; after that it is a new entry.
    #[must_use]
    pub fn once(mut self, key: String) -> Self {
        self.again = Again::Counts(key);
        self
    }

    /// It is delivered under this key, perhaps more than once, and told once for ever.
    #[must_use]
    pub fn delivery(mut self, key: String) -> Self {
        self.again = Again::Nothing(key);
        self
    }
}

/// Writes a fact down, inside the caller's transaction.
pub(crate) async fn record(conn: Conn<'_>, fact: Fact, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<()> {
    beside(conn, vec![], [fact], failed).await
}

/// Facts that one statement writes: each takes nine of the parameters that SQLite allows it, 32,766.
const AT_ONCE_MAX: usize = 1_000;

impl Store {
    /// Writes down what a target holds of a run. What was delivered before is not told again.
    ///
    /// # Errors
    /// As any write.
    pub async fn deliver(&self, run: &RunRecord, facts: Vec<Fact>) -> Result<()> {
        let failed = self.failed("telling what a target holds");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        for facts in facts.chunks(AT_ONCE_MAX) {
            let facts = facts.iter().map(|fact| fact.clone().run(run.number).tenant(&run.tenant));
            beside(tx.conn(), vec![], facts, failed).await?;
        }
        tx.commit().await.map_err(failed)
    }
}

/// Writes facts down beside what they tell of: as many as can be in one round trip. Those that count come last,
/// and one after the other: on PostgreSQL a statement's parts run in an order that nobody knows, and none can
/// count up what another one wrote.
pub(crate) async fn beside(
    mut conn: Conn<'_>,
    mut what: Vec<Query>,
    facts: impl IntoIterator<Item = Fact>,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    let (counting, others): (Vec<Fact>, Vec<Fact>) =
        facts.into_iter().partition(|fact| matches!(fact.again, Again::Counts(_)));
    if !others.is_empty() {
        let rows = others.into_iter().map(Fact::row).collect::<Result<Vec<_>>>()?;
        what.push(insert(INTO, rows, "ON CONFLICT (delivery) DO NOTHING"));
    }
    together(conn.reborrow(), what).await.map_err(failed)?;
    for fact in counting {
        // The key is free again once the entry is sequenced: then there is no conflict.
        let counts = "ON CONFLICT (once) DO UPDATE SET times = audit_entries.times + 1";
        insert(INTO, [fact.row()?], counts).execute(conn.reborrow()).await.map_err(failed)?;
    }
    reached(Point::EntryWritten);
    Ok(())
}

const INTO: &str = "audit_entries (at_us, kind, run, tenant, actor, body, times, once, delivery)";

impl Fact {
    fn row(self) -> Result<[Param; 9]> {
        let Self { at_us, kind, run, tenant, actor, body, again } = self;
        let (once, delivery) = match again {
            Again::Another => (None, None),
            Again::Counts(key) => (Some(key), None),
            Again::Nothing(key) => (None, Some(key)),
        };
        Ok([
            at_us.into(),
            kind.into(),
            run.map(RunNumber::column).into(),
            tenant.map(name).into(),
            name(actor).into(),
            body_text(body)?.into(),
            1.into(),
            once.into(),
            delivery.into(),
        ])
    }
}

fn name(text: String) -> String {
    if text.len() > NAME_BYTES_MAX { digest_of(&text) } else { text }
}

fn digest_of(text: &str) -> String {
    format!("{} ({} bytes)", Digest::of(text.as_bytes()), text.len())
}

/// The body as JSON. An entry has a longest length: texts that are too long for it stand elsewhere too, and
/// here with their digest.
fn body_text(mut body: BTreeMap<&'static str, String>) -> Result<String> {
    let json = |body: &BTreeMap<_, _>| serde_json::to_string(body).map_err(|e| Error::Bug(e.to_string()));
    let text = json(&body)?;
    if text.len() <= BODY_BYTES_MAX {
        return Ok(text);
    }
    for value in body.values_mut().filter(|value| value.len() > TEXT_BYTES_KEPT) {
        *value = digest_of(value);
    }
    json(&body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_for_an_entry_gives_way_to_its_digest() {
        let long = "x".repeat(100_000);
        let text = body_text([("facts", long.clone()), ("stage", "at_apply".to_owned())].into()).unwrap();
        let expected =
            format!("{{\"facts\":\"{} (100000 bytes)\",\"stage\":\"at_apply\"}}", Digest::of(long.as_bytes()));
        assert_eq!(text, expected);
        assert_eq!((name("alice".into()), name(long.clone())), ("alice".into(), digest_of(&long)));
    }
}
