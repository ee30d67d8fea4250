//! A logical dump with a SHA-256: what "the target did not change" means.
//!
//! Every user table, index, trigger and view with its definition, and every row with the exact bytes of
//! its values, sorted. Files are not compared: a plain SELECT by a database's last connection may
//! checkpoint, and that changes nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use anyhow::Context;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Decode, PgConnection, Row, Sqlite, SqliteConnection};
use sqlx::{TypeInfo, ValueRef};

/// How many differing lines [`Dump::difference`] shows.
const DIFFERENCES_MAX: usize = 40;

/// What is dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything, Mendwright's own tables too.
    Everything,
    /// What belongs to the application: no table `mendwright_*`, no schema `mendwright`, and no sequence,
    /// because a transaction that is rolled back does not give its numbers back.
    Application,
}

/// The content of a database, as sorted lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Dump {
    lines: Vec<String>,
}

impl Dump {
    /// Of a SQLite file. The connection is read-only; what the application has committed is seen.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn of_sqlite(path: &Path, scope: Scope) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).create_if_missing(false);
        let mut connection = options.connect().await.with_context(|| format!("opening {}", path.display()))?;
        let mut snapshot = connection.begin().await?;
        let objects: Vec<(String, String, Option<String>)> =
            sqlx::query_as("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'")
                .fetch_all(&mut *snapshot)
                .await?;
        let mut lines = Vec::new();
        for (kind, name, sql) in objects {
            if scope == Scope::Application && is_of_mendwright(&name) {
                continue;
            }
            lines.push(format!("{kind} {name}: {}", sql.unwrap_or_default().escape_default()));
            if kind == "table" {
                sqlite_rows(&mut snapshot, &name, &mut lines).await?;
            }
        }
        drop(snapshot);
        connection.close().await?;
        lines.sort_unstable();
        Ok(Self { lines })
    }

    /// Of the PostgreSQL database at `url`; the role must see every row (a superuser, in tests).
    ///
    /// # Errors
    /// The server does not answer or refuses.
    pub async fn of_postgres(url: &str, scope: Scope) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(url).await.with_context(|| format!("connecting to {url}"))?;
        sqlx::raw_sql(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             SET LOCAL DateStyle = 'ISO'; SET LOCAL TimeZone = 'UTC'; SET LOCAL IntervalStyle = 'iso_8601';
             SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL search_path = pg_catalog",
        )
        .execute(&mut connection)
        .await?;
        let mut lines = postgres_schema(&mut connection, scope).await?;
        for (schema, table) in postgres_tables(&mut connection, scope).await? {
            let quoted = format!("{}.{}", quote(&schema), quote(&table));
            let copy = format!("COPY (SELECT * FROM {quoted}) TO STDOUT");
            let mut bytes = Vec::new();
            let mut stream = connection.copy_out_raw(&copy).await?;
            while let Some(chunk) = stream.try_next().await? {
                bytes.extend_from_slice(&chunk);
            }
            drop(stream);
            // COPY escapes newlines: one line is one row.
            lines.extend(String::from_utf8(bytes)?.lines().map(|row| format!("row {quoted}: {row}")));
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut connection).await?;
        connection.close().await?;
        lines.sort_unstable();
        Ok(Self { lines })
    }

    /// SHA-256 of all lines, as hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for line in &self.lines {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        }
        hex::encode(hash.finalize())
    }

    /// The lines, sorted: definitions (`table …: …`) and rows (`row TABLE: …`).
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// How many rows of tables there are.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.lines.iter().filter(|line| line.starts_with("row ")).count()
    }

    /// What `later` no longer has (`-`) and has in addition (`+`); empty when nothing changed.
    #[must_use]
    pub fn difference(&self, later: &Self) -> Vec<String> {
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (self.lines.iter().collect(), later.lines.iter().collect());
        let gone = old.difference(&new).map(|line| format!("- {line}"));
        let come = new.difference(&old).map(|line| format!("+ {line}"));
        let mut lines: Vec<String> = gone.chain(come).collect();
        if lines.is_empty() && self != later {
            // Equal rows of a table without a key, in another number.
            lines.push(format!("{} lines before, {} after", self.lines.len(), later.lines.len()));
        }
        lines
    }

    /// Panics with the difference unless `later` is the same.
    ///
    /// # Panics
    /// When a byte differs.
    #[track_caller]
    pub fn assert_unchanged(&self, later: &Self) {
        let difference = self.difference(later);
        if let Some(rest) = difference.len().checked_sub(DIFFERENCES_MAX).filter(|rest| *rest > 0) {
            let shown: Vec<_> = difference.into_iter().take(DIFFERENCES_MAX).collect();
            panic!("the database changed:\n{}\n… and {rest} more", shown.join("\n"));
        }
        assert!(difference.is_empty(), "the database changed:\n{}", difference.join("\n"));
    }
}

impl fmt::Debug for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dump({} lines, sha256 {})", self.lines.len(), self.sha256())
    }
}

fn is_of_mendwright(name: &str) -> bool {
    name.starts_with("mendwright_")
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn sqlite_rows(connection: &mut SqliteConnection, table: &str, lines: &mut Vec<String>) -> anyhow::Result<()> {
    let sql = format!("SELECT * FROM {}", quote(table));
    let rows: Vec<SqliteRow> = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await?;
    for row in rows {
        let mut line = format!("row {table}:");
        for index in 0..row.len() {
            line.push_str(" | ");
            line.push_str(&sqlite_value(&row, index)?);
        }
        lines.push(line);
    }
    Ok(())
}

/// Type and exact value: `text 'a'` and `blob 'a'` differ, as do `integer 1` and `real 1.0`. A text may
/// hold any bytes.
fn sqlite_value(row: &SqliteRow, index: usize) -> anyhow::Result<String> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok("null".to_owned());
    }
    let kind = value.type_info().name().to_ascii_lowercase();
    let decode = |error| anyhow::anyhow!("column {index} of class {kind}: {error}");
    Ok(match kind.as_str() {
        "integer" => format!("integer {}", <i64 as Decode<Sqlite>>::decode(value).map_err(decode)?),
        // Rust prints the shortest digits that are this very double, and the sign of zero.
        "real" => format!("real {:?}", <f64 as Decode<Sqlite>>::decode(value).map_err(decode)?),
        _ => format!("{kind} '{}'", <&[u8] as Decode<Sqlite>>::decode(value).map_err(decode)?.escape_ascii()),
    })
}

/// Relations of the application, or all but the system's.
fn wanted_schemas(scope: Scope) -> &'static str {
    match scope {
        Scope::Everything => "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'",
        Scope::Application => {
            "n.nspname NOT IN ('pg_catalog', 'information_schema', 'mendwright') AND n.nspname NOT LIKE 'pg\\_%' \
             AND c.relname NOT LIKE 'mendwright\\_%'"
        }
    }
}

async fn postgres_tables(connection: &mut PgConnection, scope: Scope) -> anyhow::Result<Vec<(String, String)>> {
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r' AND {} ORDER BY 1, 2",
        wanted_schemas(scope)
    );
    Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await?)
}

async fn postgres_schema(connection: &mut PgConnection, scope: Scope) -> anyhow::Result<Vec<String>> {
    let wanted = wanted_schemas(scope);
    let of_relation = "JOIN pg_class c ON c.oid = x.relation JOIN pg_namespace n ON n.oid = c.relnamespace";
    let sql = format!(
        "SELECT format('%s %I.%I: %s', x.kind, n.nspname, c.relname, x.text) FROM (
           SELECT 'relation' AS kind, oid AS relation, format('%s owner %s acl %s rls %s %s', relkind,
                  relowner::regrole, relacl, relrowsecurity, relforcerowsecurity) AS text FROM pg_class
           UNION ALL SELECT 'column', attrelid, format('%s %s %s not null %s identity %s generated %s default %s',
                  attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
                  pg_get_expr(d.adbin, d.adrelid))
             FROM pg_attribute LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
             WHERE attnum > 0 AND NOT attisdropped
           UNION ALL SELECT 'constraint', conrelid, conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
           UNION ALL SELECT 'index', indrelid, pg_get_indexdef(indexrelid) FROM pg_index
           UNION ALL SELECT 'trigger', tgrelid, pg_get_triggerdef(oid) || ' enabled ' || tgenabled::text
             FROM pg_trigger WHERE NOT tgisinternal
           UNION ALL SELECT 'rule', ev_class, pg_get_ruledef(oid) FROM pg_rewrite
           UNION ALL SELECT 'policy', polrelid, polname || ' ' || coalesce(pg_get_expr(polqual, polrelid), '')
                  || ' check ' || coalesce(pg_get_expr(polwithcheck, polrelid), '') FROM pg_policy
         ) x {of_relation} WHERE {wanted}
         UNION ALL
         SELECT format('function %s: %s', p.oid::regprocedure, pg_get_functiondef(p.oid)) FROM pg_proc p
         JOIN pg_namespace n ON n.oid = p.pronamespace CROSS JOIN (SELECT ''::text AS relname) c
         WHERE p.prokind IN ('f', 'p') AND {wanted}"
    );
    let mut lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
    if scope == Scope::Everything {
        let sequences: Vec<String> = sqlx::query_scalar(
            "SELECT format('sequence %I.%I: last value %s', schemaname, sequencename, last_value) FROM pg_sequences",
        )
        .fetch_all(connection)
        .await?;
        lines.extend(sequences);
    }
    for line in &mut lines {
        *line = line.replace('\n', "\\n");
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chinook::{Journal, SqliteFile};
    use crate::postgres::Cluster;

    #[tokio::test]
    async fn two_dumps_of_the_same_sqlite_file_are_equal_and_one_changed_byte_is_not() {
        for journal in [Journal::Wal, Journal::Rollback] {
            let file = SqliteFile::new(journal).await.unwrap();
            let before = Dump::of_sqlite(&file.path(), Scope::Everything).await.unwrap();
            let again = Dump::of_sqlite(&file.path(), Scope::Everything).await.unwrap();
            before.assert_unchanged(&again);
            assert_eq!((before.sha256(), before.n_rows()), (again.sha256(), 15_607));
            let mut connection = file.connect().await.unwrap();
            sqlx::raw_sql(r#"UPDATE "Invoice" SET "Total" = 13.860000000000001 WHERE "InvoiceId" = 12"#)
                .execute(&mut connection)
                .await
                .unwrap();
            // Not closed: what is only in the write-ahead log counts.
            let after = Dump::of_sqlite(&file.path(), Scope::Everything).await.unwrap();
            assert_eq!(before.difference(&after).len(), 2);
            assert_ne!(before.sha256(), after.sha256());
        }
    }

    #[tokio::test]
    async fn a_sqlite_dump_tells_apart_what_compares_equal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("values.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        let values = "(1), (1.0), ('1'), (x'31'), (0.0), (-0.0), (NULL), (CAST(x'ff00' AS TEXT)), (x'ff00'), (1e999)";
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE TABLE v (v); INSERT INTO v VALUES {values}")))
            .execute(&mut connection)
            .await
            .unwrap();
        let dump = Dump::of_sqlite(&path, Scope::Everything).await.unwrap();
        let rows: Vec<_> = dump.lines().iter().filter_map(|line| line.strip_prefix("row v: | ")).collect();
        assert_eq!(
            rows,
            [
                r"blob '1'",
                r"blob '\xff\x00'",
                "integer 1",
                "null",
                "real -0.0",
                "real 0.0",
                "real 1.0",
                "real inf",
                r"text '1'",
                r"text '\xff\x00'"
            ]
        );
    }

    #[tokio::test]
    async fn mendwrights_own_tables_can_be_left_out() {
        let file = SqliteFile::new(Journal::Wal).await.unwrap();
        let before = Dump::of_sqlite(&file.path(), Scope::Application).await.unwrap();
        let mut connection = file.connect().await.unwrap();
        let own = "CREATE TABLE mendwright_journal (run); INSERT INTO mendwright_journal VALUES (1)";
        sqlx::raw_sql(own).execute(&mut connection).await.unwrap();
        before.assert_unchanged(&Dump::of_sqlite(&file.path(), Scope::Application).await.unwrap());
        let everything = Dump::of_sqlite(&file.path(), Scope::Everything).await.unwrap();
        assert_eq!(before.difference(&everything).len(), 2);

        let database = Cluster::shared().database("own_tables").await.unwrap();
        let before = Dump::of_postgres(&database.url, Scope::Application).await.unwrap();
        let mut connection = database.connect().await.unwrap();
        sqlx::raw_sql(
            "CREATE SCHEMA mendwright; CREATE TABLE mendwright.journal (run int); INSERT INTO mendwright.journal VALUES (1)",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        before.assert_unchanged(&Dump::of_postgres(&database.url, Scope::Application).await.unwrap());
        assert_ne!(before, Dump::of_postgres(&database.url, Scope::Everything).await.unwrap());
    }

    #[tokio::test]
    async fn a_postgres_dump_sees_rows_scales_triggers_sequences_and_grants() {
        let database = Cluster::shared().database("dump").await.unwrap();
        let mut connection = database.connect().await.unwrap();
        let first = Dump::of_postgres(&database.url, Scope::Everything).await.unwrap();
        assert_eq!(first.n_rows(), 15_607);
        let mut last = first.clone();
        for change in [
            "CREATE TABLE t (n numeric, f float8); INSERT INTO t VALUES (1.0, 0)",
            "UPDATE t SET n = 1.00",
            "UPDATE t SET f = '-0'",
            "CREATE SEQUENCE s",
            "SELECT nextval('s')",
            "GRANT SELECT ON t TO public",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\nRETURN NEW; END $$",
            "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        ] {
            sqlx::raw_sql(change).execute(&mut connection).await.unwrap();
            let next = Dump::of_postgres(&database.url, Scope::Everything).await.unwrap();
            assert_ne!(last.sha256(), next.sha256(), "{change}");
            next.assert_unchanged(&Dump::of_postgres(&database.url, Scope::Everything).await.unwrap());
            last = next;
        }
    }

    #[test]
    #[should_panic(expected = "- row t: 1")]
    fn a_change_is_shown() {
        let (old, new) = (Dump { lines: vec!["row t: 1".into()] }, Dump { lines: vec!["row t: 2".into()] });
        old.assert_unchanged(&new);
    }
}
