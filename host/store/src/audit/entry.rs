//! An entry as the log holds it. **Frozen**: the bytes are what is hashed, signed and handed out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::db::{Engine, Row, dialect};
use crate::error::{Error, Result};

/// What `v` says.
const VERSION: u8 = 1;

/// An entry. Its bytes are its canonical JSON (RFC 8785): the fields stand in the order of their names,
/// what is absent is left out, and no number is beyond what a double holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who did it: `person:alice`, `host`.
    pub actor: String,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// What else there is to say.
    pub body: BTreeMap<String, String>,
    /// What it was delivered under, where it was: nothing else is delivered under that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// The number under which the control store wrote it down; rises, with gaps.
    pub id: i64,
    /// What happened: `run.begun`, `switch.thrown`, …
    pub kind: String,
    /// The number of the run it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// The tenant it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How often it happened until it was sequenced.
    pub times: i64,
    /// The version of this form.
    pub v: u8,
}

impl Entry {
    /// Reads an entry's bytes.
    ///
    /// # Errors
    /// Says why they are none.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let entry: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match entry.v {
            VERSION => Ok(entry),
            other => Err(format!("its version is {other}, and this host knows {VERSION}")),
        }
    }

    /// The bytes that are hashed.
    ///
    /// # Errors
    /// None that can happen: every field is a text or a number.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::Bug(error.to_string()))
    }
}

/// A row of `audit_entries`, as it is. Texts are read as bytes: one that is no UTF-8 is found like any
/// other that was changed.
pub(crate) struct EntryRow {
    pub(crate) id: i64,
    at_us: i64,
    kind: Vec<u8>,
    run: Option<i64>,
    tenant: Option<Vec<u8>>,
    actor: Vec<u8>,
    body: Vec<u8>,
    times: i64,
    delivery: Option<Vec<u8>>,
}

impl EntryRow {
    /// The columns, of the table under this name.
    pub(crate) fn columns(engine: Engine, table: &str) -> String {
        let bytes = |column| format!("{} AS {column}", dialect::bytes(engine, &format!("{table}.{column}")));
        let plain = ["id", "at_us", "run", "times"].map(|column| format!("{table}.{column}"));
        let texts = ["kind", "tenant", "actor", "body", "delivery"].map(bytes);
        [plain.as_slice(), texts.as_slice()].concat().join(", ")
    }

    pub(crate) fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            at_us: row.try_get("at_us")?,
            kind: row.try_get("kind")?,
            run: row.try_get("run")?,
            tenant: row.try_get("tenant")?,
            actor: row.try_get("actor")?,
            body: row.try_get("body")?,
            times: row.try_get("times")?,
            delivery: row.try_get("delivery")?,
        })
    }

    /// The entry that this row is.
    pub(crate) fn into_entry(self) -> Result<Entry> {
        let Self { id, at_us, kind, run, tenant, actor, body, times, delivery } = self;
        let corrupt = |column: &'static str| move |detail: String| Error::corrupt("audit_entries", column, id, detail);
        let text = |column, bytes: Vec<u8>| String::from_utf8(bytes).map_err(|e| corrupt(column)(e.to_string()));
        let maybe = |column, bytes: Option<Vec<u8>>| bytes.map(|bytes| text(column, bytes)).transpose();
        let words: BTreeMap<String, String> =
            serde_json::from_slice(&body).map_err(|error| corrupt("body")(error.to_string()))?;
        // What is hashed is made anew: it must be what stands here, byte for byte.
        if serde_json::to_vec(&words).ok().as_ref() != Some(&body) {
            return Err(corrupt("body")("it is not in its canonical form".to_owned()));
        }
        Ok(Entry {
            actor: text("actor", actor)?,
            at_us,
            body: words,
            delivery: maybe("delivery", delivery)?,
            id,
            kind: text("kind", kind)?,
            run,
            tenant: maybe("tenant", tenant)?,
            times,
            v: VERSION,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_an_entry_are_frozen() {
        let entry = Entry {
            actor: "person:alice".into(),
            at_us: 1_763_608_329_000_000,
            body: [("b".to_owned(), "\"\u{1f}\u{e9}\u{2028}/\n".to_owned()), ("a".to_owned(), String::new())].into(),
            delivery: Some("flush:run_1:0:0".into()),
            id: 7,
            kind: "switch.thrown".into(),
            run: Some(1042),
            tenant: Some("Germany".into()),
            times: 2,
            v: 1,
        };
        let golden = "{\"actor\":\"person:alice\",\"at_us\":1763608329000000,\"body\":{\"a\":\"\",\
             \"b\":\"\\\"\\u001f\u{e9}\u{2028}/\\n\"},\"delivery\":\"flush:run_1:0:0\",\"id\":7,\
             \"kind\":\"switch.thrown\",\"run\":1042,\"tenant\":\"Germany\",\"times\":2,\"v\":1}";
        assert_eq!(String::from_utf8(entry.bytes().unwrap()).unwrap(), golden);
        assert_eq!(Entry::parse(golden.as_bytes()).unwrap(), entry);
        let bare = Entry { delivery: None, run: None, tenant: None, body: [].into(), ..entry };
        let golden = "{\"actor\":\"person:alice\",\"at_us\":1763608329000000,\"body\":{},\"id\":7,\
             \"kind\":\"switch.thrown\",\"times\":2,\"v\":1}";
        assert_eq!(String::from_utf8(bare.bytes().unwrap()).unwrap(), golden);
        assert!(Entry::parse(golden.replace("\"v\":1", "\"v\":2").as_bytes()).is_err());
    }
}
