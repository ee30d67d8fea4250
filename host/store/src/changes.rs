//! Reading a plan's changes: in pages, filtered, or as one stream.

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use mendwright_core::plan::BoundChange;

use crate::db::{Conn, Row, query};
use crate::error::{Error, Result};
use crate::run::RunNumber;
use crate::store::Store;

/// Changes of one page, whatever was asked for.
pub const PAGE_MAX: u32 = 10_000;

/// Changes that a stream reads at once.
const STREAM_PAGE: u32 = 1_000;

/// Which changes to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Of this resource.
    pub resource: Option<String>,
    /// With this key, as [`BoundChange::key_text`] writes it.
    pub key: Option<String>,
    /// With this text somewhere in the leaf's JSON or in the reason, byte for byte.
    pub text: Option<String>,
}

/// A change and its place in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChange {
    /// 1, 2, 3 … in the plan's order.
    pub seq: u64,
    /// The change.
    pub change: BoundChange,
}

impl Store {
    /// At most `limit` changes (and [`PAGE_MAX`]) after the one of place `after_seq`, in the plan's
    /// order. The next page begins after the last one's `seq`.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub async fn changes(
        &self,
        run: RunNumber,
        filter: &ChangeFilter,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<StoredChange>> {
        let failed = self.failed("reading a plan's changes");
        let ChangeFilter { resource, key, text } = filter;
        let mut reader = self.reader().await?;
        let rows = query(
            "SELECT seq, resource, key_text, leaf, reason FROM plan_changes WHERE run = $1 AND seq > $2 \
             AND ($3 IS NULL OR resource = $3) AND ($4 IS NULL OR key_text = $4) \
             AND ($5 IS NULL OR replace(leaf, $5, '') <> leaf OR replace(reason, $5, '') <> reason) \
             ORDER BY seq LIMIT $6",
        )
        .bind(run.column())
        .bind(i64::try_from(after_seq).unwrap_or(i64::MAX))
        .bind(resource.clone())
        .bind(key.clone())
        .bind(text.clone().filter(|text| !text.is_empty()))
        .bind(i64::from(limit.min(PAGE_MAX)))
        .all(reader.conn())
        .await
        .map_err(failed)?;
        rows.iter().map(|row| ChangeRow::read(row).map_err(failed)?.into_change(run)).collect()
    }

    /// Every change of a plan, in its order, a page at a time: a saved plan does not change.
    pub fn stream_changes(&self, run: RunNumber) -> BoxStream<'_, Result<StoredChange>> {
        futures::stream::try_unfold(0, move |after| async move {
            let page = self.changes(run, &ChangeFilter::default(), after, STREAM_PAGE).await?;
            Ok(page.last().map(|last| last.seq).map(|seq| (page, seq)))
        })
        .map_ok(|page| futures::stream::iter(page.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
    }
}

/// A row of `plan_changes`, as it is.
pub(crate) struct ChangeRow {
    pub(crate) seq: i64,
    pub(crate) resource: String,
    pub(crate) key_text: String,
    pub(crate) leaf: String,
    pub(crate) reason: String,
}

const AFTER: &str = "SELECT seq, resource, key_text, leaf, reason FROM plan_changes WHERE run = $1 AND seq > $2 \
    ORDER BY seq LIMIT $3";

impl ChangeRow {
    /// The rows of a plan after one, in their order: a page of them, empty at the end.
    pub(crate) async fn after(run: RunNumber, seq: i64, conn: Conn<'_>) -> sqlx::Result<Vec<Self>> {
        let rows = query(AFTER).bind(run.column()).bind(seq).bind(i64::from(STREAM_PAGE)).all(conn).await?;
        rows.iter().map(Self::read).collect()
    }

    fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            seq: row.try_get("seq")?,
            resource: row.try_get("resource")?,
            key_text: row.try_get("key_text")?,
            leaf: row.try_get("leaf")?,
            reason: row.try_get("reason")?,
        })
    }

    /// The one door from rows to changes.
    fn into_change(self, run: RunNumber) -> Result<StoredChange> {
        let Self { seq, resource: _, key_text: _, leaf, reason } = self;
        let nonsense =
            |column: &'static str, detail: &str| Error::corrupt("plan_changes", column, format!("{run}/{seq}"), detail);
        Ok(StoredChange {
            seq: u64::try_from(seq).map_err(|_| nonsense("seq", "it is negative"))?,
            change: BoundChange::from_leaf(&leaf, reason).ok_or_else(|| nonsense("leaf", "it is not a change"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;
    use crate::testing::{changes, opened, planned};

    async fn seqs(store: &Store, run: RunNumber, filter: ChangeFilter, after: u64, limit: u32) -> Vec<u64> {
        store.changes(run, &filter, after, limit).await.unwrap().iter().map(|found| found.seq).collect()
    }

    #[tokio::test]
    async fn changes_are_paged_filtered_and_streamed_in_the_plans_order() {
        let (_dir, store) = opened().await;
        planned(&store, "France", 3).await;
        let run = planned(&store, "Germany", 200).await;
        let none = ChangeFilter::default;
        assert_eq!(seqs(&store, run, none(), 0, 3).await, [1, 2, 3]);
        assert_eq!(seqs(&store, run, none(), 198, 3).await, [199, 200]);
        assert!(seqs(&store, run, none(), 200, 3).await.is_empty());
        let key = ChangeFilter { resource: Some("invoices".into()), key: Some("17".into()), ..none() };
        assert_eq!(seqs(&store, run, key.clone(), 0, 9).await, [17]);
        assert!(seqs(&store, run, ChangeFilter { resource: Some("x".into()), ..key }, 0, 9).await.is_empty());
        let text = |text: &str| ChangeFilter { text: Some(text.into()), ..none() };
        assert_eq!(seqs(&store, run, text("of 19 lines"), 0, 9).await, [19]);
        assert_eq!(seqs(&store, run, text("i:19"), 0, 3).await, [19, 190, 191]);
        assert!(seqs(&store, run, text("OF 19"), 0, 9).await.is_empty());
        assert_eq!(seqs(&store, run, text(""), 0, 2).await, [1, 2]);
        let streamed: Vec<_> = store.stream_changes(run).map_ok(|found| found.change).try_collect().await.unwrap();
        assert_eq!(streamed, changes(200));
    }
}
