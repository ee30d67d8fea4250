//! The registry of people and their keys: signed versions, each by people of the one before. What they
//! say is `core`'s to judge; here they are only kept, in order.

use crate::audit::{self, Fact};
use crate::db::{Conn, query};
use crate::error::{Error, Result};
use crate::store::Store;

/// A version of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPeople {
    /// As it was signed.
    pub envelope: String,
    /// When it came to count, by the database's clock.
    pub at_us: i64,
}

impl Store {
    /// Every version, from the first.
    ///
    /// # Errors
    /// As any read.
    pub async fn people(&self) -> Result<Vec<StoredPeople>> {
        let mut reader = self.reader().await?;
        all(reader.conn(), self.failed("reading the registry of people")).await
    }

    /// Adds the next version. Of two hosts that add the same one, one is refused.
    ///
    /// # Errors
    /// [`Error::Superseded`] where there is such a version already.
    pub async fn add_people(&self, version: u64, envelope: &str, by: &str, now_us: i64) -> Result<()> {
        let failed = self.failed("adding to the registry of people");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        add(tx.conn(), version, envelope, by, now_us, failed).await?;
        tx.commit().await.map_err(failed)
    }
}

/// Adds the next version, inside the caller's transaction.
pub(crate) async fn add(
    mut conn: Conn<'_>,
    version: u64,
    envelope: &str,
    by: &str,
    now_us: i64,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    let added = query(
        "INSERT INTO people (version, envelope, at_us) SELECT $1, $2, $3 \
         WHERE $1 = (SELECT coalesce(max(version), 0) + 1 FROM people) ON CONFLICT (version) DO NOTHING",
    )
    .bind(i64::try_from(version).unwrap_or(i64::MAX))
    .bind(envelope)
    .bind(now_us)
    .execute(conn.reborrow())
    .await
    .map_err(failed)?;
    if added == 0 {
        return Err(Error::Superseded { version });
    }
    audit::record(conn, Fact::new("people.changed", by, now_us).say("version", version), failed).await
}

/// Every version, inside the caller's transaction.
pub(crate) async fn all(conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<Vec<StoredPeople>> {
    let rows = query("SELECT envelope, at_us FROM people ORDER BY version").all(conn).await.map_err(failed)?;
    let read = |row: &crate::db::Row| -> sqlx::Result<StoredPeople> {
        Ok(StoredPeople { envelope: row.try_get("envelope")?, at_us: row.try_get("at_us")? })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, opened};

    #[tokio::test]
    async fn versions_come_one_after_the_other_and_each_once() {
        let (_dir, store) = opened().await;
        store.add_people(1, "one", "person:alice", NOW).await.unwrap();
        for version in [1, 3, 0] {
            let refused = store.add_people(version, "x", "person:alice", NOW).await.unwrap_err();
            assert!(matches!(refused, Error::Superseded { .. }), "{version}: {refused}");
        }
        store.add_people(2, "two", "person:alice", NOW).await.unwrap();
        let stored = |envelope: &str| StoredPeople { envelope: envelope.into(), at_us: NOW };
        assert_eq!(store.people().await.unwrap(), [stored("one"), stored("two")]);
    }
}
