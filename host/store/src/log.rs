//! What the job said while it ran, bounded.

use mendwright_core::port::LogLevel;

use crate::db::{Conn, Param, Query, Row, insert, query};
use crate::error::{Error, Result};
use crate::run::RunNumber;
use crate::store::Store;
use crate::words;

/// Lines of one run. The budget bounds bytes and is the operator's; this bounds rows and is ours.
pub const LOG_LINES_MAX: usize = 10_000;

/// Bytes of one run's lines, whatever its budget was: pages of people, not a data store.
pub const LOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Lines in one statement.
const ROWS_AT_ONCE: usize = 256;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The text, as the job wrote it; escape it before showing.
    pub text: String,
}

impl Store {
    /// The log of a run, in order; for a plan it was saved with it.
    ///
    /// # Errors
    /// As any read.
    pub async fn log(&self, run: RunNumber) -> Result<Vec<LogLine>> {
        let failed = self.failed("reading a run's log");
        let mut reader = self.reader().await?;
        let rows = query("SELECT seq, level, line FROM run_log WHERE run = $1 ORDER BY seq")
            .bind(run.column())
            .all(reader.conn())
            .await
            .map_err(failed)?;
        let read = |row: &Row| -> Result<LogLine> {
            let seq: i64 = row.try_get("seq").map_err(failed)?;
            let word: String = row.try_get("level").map_err(failed)?;
            let level = words::level_from_word(&word)
                .ok_or_else(|| Error::corrupt("run_log", "level", format!("{run}/{seq}"), &word))?;
            Ok(LogLine { level, text: row.try_get("line").map_err(failed)? })
        };
        rows.iter().map(read).collect()
    }

    /// Adds the log of a run that ended without a plan. What is beyond [`LOG_LINES_MAX`] and
    /// [`LOG_BYTES_MAX`] is left out, and the last line says so.
    ///
    /// # Errors
    /// [`Error::RunUnknown`].
    pub async fn save_log(&self, run: RunNumber, lines: &[LogLine]) -> Result<()> {
        let failed = self.failed("writing a run's log");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        crate::run::read(tx.conn(), run, failed).await?;
        write(tx.conn(), run, lines, failed).await?;
        tx.commit().await.map_err(failed)
    }
}

/// Writes a run's log after what it already has, inside the caller's transaction.
pub(crate) async fn write(
    mut conn: Conn<'_>,
    run: RunNumber,
    lines: &[LogLine],
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    let held = query(
        "SELECT count(*) AS n, CAST(coalesce(sum(octet_length(line)), 0) AS BIGINT) AS bytes FROM run_log WHERE run = $1",
    )
    .bind(run.column())
    .optional(conn.reborrow())
    .await
    .map_err(failed)?
    .ok_or_else(|| Error::Bug("an aggregate gave no row".to_owned()))?;
    let n_before: i64 = held.try_get("n").map_err(failed)?;
    let bytes_before: i64 = held.try_get("bytes").map_err(failed)?;
    let room_lines = LOG_LINES_MAX.saturating_sub(usize::try_from(n_before).unwrap_or(usize::MAX));
    let room_bytes = LOG_BYTES_MAX.saturating_sub(usize::try_from(bytes_before).unwrap_or(usize::MAX));
    let mut seq = n_before;
    for line in bounded(lines, room_lines, room_bytes) {
        seq += 1;
        query("INSERT INTO run_log (run, seq, level, line) VALUES ($1, $2, $3, $4)")
            .bind(run.column())
            .bind(seq)
            .bind(words::level_word(line.level))
            .bind(line.text)
            .execute(conn.reborrow())
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// The rows of a log that begins with its run; none for none.
pub(crate) fn first_rows(run: RunNumber, lines: &[LogLine]) -> Vec<Query> {
    let rows: Vec<[Param; 4]> = (1..)
        .zip(bounded(lines, LOG_LINES_MAX, LOG_BYTES_MAX))
        .map(|(seq, line)| [run.column().into(), seq.into(), words::level_word(line.level).into(), line.text.into()])
        .collect();
    rows.chunks(ROWS_AT_ONCE).map(|rows| insert("run_log (run, seq, level, line)", rows.iter().cloned(), "")).collect()
}

/// As many lines as fit, and one that says how many did not.
fn bounded(lines: &[LogLine], room_lines: usize, room_bytes: usize) -> Vec<LogLine> {
    let mut kept = Vec::new();
    let mut bytes = 0;
    for (i, line) in lines.iter().enumerate() {
        bytes += line.text.len();
        let is_last_place = kept.len() + 1 == room_lines && i + 1 < lines.len();
        if bytes > room_bytes || is_last_place || kept.len() >= room_lines {
            if kept.len() < room_lines {
                let text = format!("… {} more lines were not kept", lines.len() - i);
                kept.push(LogLine { level: LogLevel::Warn, text });
            }
            break;
        }
        kept.push(line.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{opened, planning};

    fn line(text: &str) -> LogLine {
        LogLine { level: LogLevel::Info, text: text.to_owned() }
    }

    #[tokio::test]
    async fn a_log_is_kept_in_order_and_added_to() {
        let (_dir, store) = opened().await;
        let (run, _lease) = planning(&store, "Germany").await;
        let lines = [line("one\u{0}\u{202e}"), LogLine { level: LogLevel::Error, text: String::new() }];
        store.save_log(run.number, &lines).await.unwrap();
        store.save_log(run.number, &[line("three")]).await.unwrap();
        // PostgreSQL keeps no U+0000: on both engines its picture stands for it.
        let kept = [line("one\u{2400}\u{202e}"), lines[1].clone(), line("three")];
        assert_eq!(store.log(run.number).await.unwrap(), kept);
        assert!(store.save_log(RunNumber::new(9), &lines).await.is_err());
    }

    #[test]
    fn what_does_not_fit_is_counted_and_left_out() {
        let lines = vec![line("12345"); 5];
        let check = |room_lines, room_bytes, n_kept: usize, last: &str| {
            let kept = bounded(&lines, room_lines, room_bytes);
            assert_eq!((kept.len(), kept.last().map_or("", |l| &l.text)), (n_kept, last));
        };
        check(10, 100, 5, "12345");
        check(5, 100, 5, "12345");
        check(3, 100, 3, "… 3 more lines were not kept");
        check(10, 11, 3, "… 3 more lines were not kept");
        check(10, 4, 1, "… 5 more lines were not kept");
        check(0, 100, 0, "");
    }
}
