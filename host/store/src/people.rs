//! The registry of people and their keys: signed versions, each by people of the one before. What they
//! say is `core`'s to judge; here they are only kept, in order.

use crate::audit::{self, Fact};
use crate::db::query;
use crate::error::{Error, Result};
use crate::store::Store;

impl Store {
    /// Every version, from the first.
    ///
    /// # Errors
    /// As any read.
    pub async fn people(&self) -> Result<Vec<String>> {
        let mut reader = self.reader().await?;
        let failed = self.failed("reading the registry of people");
        let rows = query("SELECT envelope FROM people ORDER BY version").all(reader.conn()).await.map_err(failed)?;
        rows.iter().map(|row| row.try_get("envelope").map_err(failed)).collect()
    }

    /// Adds the next version. Of two hosts that add the same one, one is refused.
    ///
    /// # Errors
    /// [`Error::Superseded`] where there is such a version already.
    pub async fn add_people(&self, version: u64, envelope: &str, by: &str, now_us: i64) -> Result<()> {
        let failed = self.failed("adding to the registry of people");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let number = i64::try_from(version).unwrap_or(i64::MAX);
        let added = query(
            "INSERT INTO people (version, envelope, at_us) SELECT $1, $2, $3 \
             WHERE $1 = (SELECT coalesce(max(version), 0) + 1 FROM people) ON CONFLICT (version) DO NOTHING",
        )
        .bind(number)
        .bind(envelope)
        .bind(now_us)
        .execute(tx.conn())
        .await
        .map_err(failed)?;
        if added == 0 {
            return Err(Error::Superseded { version });
        }
        let fact = Fact::new("people.changed", by, now_us).say("version", version);
        audit::record(tx.conn(), fact, failed).await?;
        tx.commit().await.map_err(failed)
    }
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
        assert_eq!(store.people().await.unwrap(), ["one", "two"]);
    }
}
