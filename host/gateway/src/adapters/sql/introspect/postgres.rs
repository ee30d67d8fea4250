//! PostgreSQL's catalog.

use mendwright_core::binding::{ForeignKey, Reference, Unique};
use mendwright_core::code::Code;
use mendwright_core::kind::Kind;

use super::{Base, Effect, Table, TableColumn, defaults, definition, kinds, show};
use crate::adapters::sql::connection::{Arg, Connection, RawRow};
use crate::adapters::sql::raw::Raw;
use crate::error::{Error, Result};

pub(super) async fn names(connection: &mut Connection, schema: Option<&str>) -> Result<Vec<String>> {
    let rows = connection
        .rows(
            "SELECT c.relname::text FROM pg_catalog.pg_class AS c
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND CASE WHEN $1::text IS NULL
                        THEN pg_catalog.pg_table_is_visible(c.oid)
                             AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                        ELSE n.nspname = $1 END
             ORDER BY c.relname",
            vec![schema.map_or(Arg::Raw(Raw::Null), Arg::text)],
        )
        .await?;
    Ok(rows.iter().map(|row| text(row, 0)).collect())
}

pub(super) async fn schemas_with(connection: &mut Connection, name: &str) -> Result<Vec<String>> {
    let rows = connection
        .rows(
            "SELECT n.nspname::text FROM pg_catalog.pg_class AS c
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
             WHERE c.relname = $1 AND c.relkind IN ('r', 'p')
               AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
             ORDER BY n.nspname",
            vec![Arg::text(name)],
        )
        .await?;
    Ok(rows.iter().map(|row| text(row, 0)).collect())
}

pub(super) async fn table(connection: &mut Connection, schema: Option<&str>, name: &str) -> Result<Option<Table>> {
    let place = match schema {
        Some(_) => "n.nspname = $2 AND c.relname = $1",
        None => "c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident($1)) AND $2::text IS NULL",
    };
    let sql = format!(
        "SELECT c.oid::text, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
                c.relrowsecurity::text
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {place}"
    );
    let args = vec![Arg::text(name), schema.map_or(Arg::Raw(Raw::Null), Arg::text)];
    let Some(found) = connection.rows(&sql, args).await?.into_iter().next() else {
        return Ok(None);
    };
    let oid = text(&found, 0);
    let children = children(connection, &oid).await?;
    let (unkeyed, unwritable) = verdict(&text(&found, 3), &text(&found, 4), &children);
    Ok(Some(Table {
        columns: columns(connection, &oid).await?,
        unique: unique(connection, &oid).await?,
        foreign_keys: foreign_keys(connection, &oid).await?,
        referenced_by: referenced_by(connection, &oid).await?,
        effects: effects(connection, &oid, truth(&found, 5)).await?,
        schema: Some(text(&found, 1)),
        name: text(&found, 2),
        unkeyed,
        unwritable,
    }))
}

/// Partitions and inheritance children, at any depth: name and kind.
async fn children(connection: &mut Connection, oid: &str) -> Result<Vec<(String, String)>> {
    let sql = format!(
        "{TREE} SELECT c.relname::text, c.relkind::text FROM tree JOIN pg_catalog.pg_class AS c USING (oid) WHERE c.oid <> $1::text::oid ORDER BY c.relname"
    );
    let rows = connection.rows(&sql, vec![Arg::text(oid)]).await?;
    Ok(rows.iter().map(|row| (text(row, 0), text(row, 1))).collect())
}

/// The table `$1` and everything below it.
const TREE: &str = "WITH RECURSIVE tree (oid) AS (SELECT $1::text::oid UNION
     SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.oid)";

/// What it is: why its key cannot be trusted, and why nothing may be written.
fn verdict(kind: &str, persistence: &str, children: &[(String, String)]) -> (Option<String>, Vec<(Code, String)>) {
    let mut unwritable = Vec::new();
    let mut unkeyed = None;
    match kind {
        "v" => unkeyed = Some("is a view: bind the table behind it".to_owned()),
        "f" => unkeyed = Some("is a foreign table: bind it in its own database".to_owned()),
        "m" => unkeyed = Some("is a materialized view: bind the table behind it".to_owned()),
        "r" => {
            if let Some((child, _)) = children.first() {
                unkeyed = Some(format!(
                    "shows the rows of its inheritance child `{}` too, and no index keeps the key unique in both",
                    show(child)
                ));
            }
        }
        _ => {
            if let Some((child, _)) = children.iter().find(|(_, kind)| kind == "f") {
                let why = format!("has a partition in another database (`{}`)", show(child));
                unwritable.push((Code::SideEffect, why));
            }
        }
    }
    if persistence == "u" {
        let why = "is UNLOGGED: a crash of the server empties it, and no journal could tell".to_owned();
        unwritable.push((Code::TargetUnsafe, why));
    }
    (unkeyed, unwritable)
}

async fn columns(connection: &mut Connection, oid: &str) -> Result<Vec<TableColumn>> {
    let rows = connection
        .rows(
            "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
                    coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), t.typdefault),
                    a.attidentity::text, a.attgenerated::text, bt.typname::text, bt.typtype::text, b.typmod::text,
                    co.collname::text, co.collisdeterministic::text
             FROM pg_catalog.pg_attribute AS a
             JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
             CROSS JOIN LATERAL (
                 WITH RECURSIVE below (oid, typmod, depth) AS (
                     SELECT a.atttypid, a.atttypmod, 0
                     UNION ALL
                     SELECT y.typbasetype, y.typtypmod, below.depth + 1
                     FROM below JOIN pg_catalog.pg_type AS y ON y.oid = below.oid AND y.typtype = 'd')
                 SELECT oid, typmod FROM below ORDER BY depth DESC LIMIT 1) AS b
             JOIN pg_catalog.pg_type AS bt ON bt.oid = b.oid
             LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             LEFT JOIN pg_catalog.pg_collation AS co ON co.oid = a.attcollation
             WHERE a.attrelid = $1::text::oid AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum",
            vec![Arg::text(oid)],
        )
        .await?;
    Ok(rows.iter().map(column).collect())
}

fn column(row: &RawRow) -> TableColumn {
    let base = text(row, 6);
    let kind = kinds::of_postgres(&base, text(row, 8).parse().unwrap_or(-1));
    let nullable = !truth(row, 2);
    let generated = !text(row, 5).is_empty();
    let expression = row.get(3).and_then(Raw::text).map(ToOwned::to_owned);
    let default = expression.clone().filter(|_| !generated);
    let from_sequence = default.as_deref().filter(|text| text.starts_with("nextval(")).map(ToOwned::to_owned);
    let identity = match text(row, 4).as_str() {
        "a" => Some("GENERATED ALWAYS AS IDENTITY".to_owned()),
        "d" => Some("GENERATED BY DEFAULT AS IDENTITY".to_owned()),
        _ => from_sequence,
    };
    let scale = match kind {
        Kind::Decimal(Some((_, scale))) => Some(scale),
        Kind::Decimal(None)
        | Kind::Boolean
        | Kind::Integer
        | Kind::Float
        | Kind::Text
        | Kind::Bytes
        | Kind::Timestamp
        | Kind::Json => None,
    };
    let collation = row
        .get(10)
        .and_then(Raw::text)
        .filter(|flag| *flag != "true" && *flag != "t")
        .map(|_| format!("has the nondeterministic collation `{}`", show(&text(row, 9))));
    TableColumn {
        name: text(row, 0),
        declared: text(row, 1),
        inexact: kinds::postgres_inexact(&base, text(row, 7) == "e").or(collation),
        constant_default: identity.is_none()
            && !generated
            && default.as_deref().map_or(nullable, defaults::is_constant),
        identity_always: text(row, 4) == "a",
        generated: generated.then(|| expression.unwrap_or_default()),
        base: Base::Postgres { name: base, scale },
        kind,
        nullable,
        default,
        identity,
    }
}

async fn unique(connection: &mut Connection, oid: &str) -> Result<Vec<Unique>> {
    let rows = connection
        .rows(
            "SELECT i.relname::text, (x.indpred IS NOT NULL)::text, (x.indexprs IS NOT NULL)::text,
                    (NOT x.indimmediate)::text,
                    (SELECT json_agg(a.attname ORDER BY k.n)::text
                     FROM unnest(x.indkey) WITH ORDINALITY AS k (attnum, n)
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
                     WHERE k.n <= x.indnkeyatts)
             FROM pg_catalog.pg_index AS x JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
             WHERE x.indrelid = $1::text::oid AND x.indisunique AND x.indisvalid AND x.indisready
             ORDER BY i.relname",
            vec![Arg::text(oid)],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let columns = if truth(row, 2) { Vec::new() } else { list(row, 4)? };
            Ok(Unique { name: text(row, 0), columns, deferrable: truth(row, 3), partial: truth(row, 1) })
        })
        .collect()
}

/// Columns of both sides of a foreign key, in order, as JSON.
const SIDES: &str =
    "(SELECT json_agg(a.attname ORDER BY x.n)::text FROM unnest(k.conkey) WITH ORDINALITY AS x (attnum, n)
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = x.attnum),
     (SELECT json_agg(a.attname ORDER BY x.n)::text FROM unnest(k.confkey) WITH ORDINALITY AS x (attnum, n)
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = x.attnum)";

async fn foreign_keys(connection: &mut Connection, oid: &str) -> Result<Vec<ForeignKey>> {
    // A key to a partitioned table is listed once more for each partition.
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, k.condeferrable::text, {SIDES}
         FROM pg_catalog.pg_constraint AS k
         JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         WHERE k.contype = 'f' AND k.conrelid = $1::text::oid AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_constraint AS p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)
         ORDER BY k.conname, 1, 2"
    );
    let rows = connection.rows(&sql, vec![Arg::text(oid)]).await?;
    rows.iter()
        .map(|row| {
            Ok(ForeignKey {
                schema: Some(text(row, 0)),
                table: text(row, 1),
                deferrable: truth(row, 2),
                columns: list(row, 3)?,
                references: list(row, 4)?,
            })
        })
        .collect()
}

async fn referenced_by(connection: &mut Connection, oid: &str) -> Result<Vec<Reference>> {
    // A key of a partitioned table is listed once more for each of its partitions.
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, k.condeferrable::text, {SIDES},
                k.confdeltype::text, k.confupdtype::text
         FROM pg_catalog.pg_constraint AS k
         JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         WHERE k.contype = 'f' AND k.confrelid = $1::text::oid AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_constraint AS p WHERE p.oid = k.conparentid AND p.confrelid = k.confrelid)
         ORDER BY 1, 2, k.conname"
    );
    let rows = connection.rows(&sql, vec![Arg::text(oid)]).await?;
    rows.iter()
        .map(|row| {
            Ok(Reference {
                resource: None,
                schema: Some(text(row, 0)),
                table: text(row, 1),
                deferrable: truth(row, 2),
                columns: list(row, 3)?,
                references: list(row, 4)?,
                on_delete: action(&text(row, 5)).to_owned(),
                on_update: action(&text(row, 6)).to_owned(),
            })
        })
        .collect()
}

fn action(letter: &str) -> &'static str {
    match letter {
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        "r" => "RESTRICT",
        _ => "NO ACTION",
    }
}

async fn effects(connection: &mut Connection, oid: &str, row_security: bool) -> Result<Vec<Effect>> {
    let mut effects = triggers(connection, oid).await?;
    let rules = connection
        .rows(
            "SELECT r.rulename::text, pg_catalog.pg_get_ruledef(r.oid, false)
             FROM pg_catalog.pg_rewrite AS r
             WHERE r.ev_class = $1::text::oid AND r.rulename <> '_RETURN' AND r.ev_enabled IN ('O', 'A')
             ORDER BY r.rulename",
            vec![Arg::text(oid)],
        )
        .await?;
    effects.extend(rules.iter().map(|row| Effect {
        what: "rule",
        name: text(row, 0),
        definition: definition(&text(row, 1), ""),
        blocks_writes: true,
    }));
    if row_security {
        effects.extend(policies(connection, oid).await?);
    }
    Ok(effects)
}

/// Triggers that fire for rows of this table: its own and those of its partitions. A trigger is a
/// few words; what it does stands in its function, which the definition's hash covers.
async fn triggers(connection: &mut Connection, oid: &str) -> Result<Vec<Effect>> {
    let sql = format!(
        "{TREE}
         SELECT t.tgname::text, pg_catalog.pg_get_triggerdef(t.oid, false), p.prosrc
         FROM tree JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = tree.oid
         JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
         WHERE t.tgenabled IN ('O', 'A')
           AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_constraint AS k WHERE k.oid = t.tgconstraint AND k.contype <> 't')))
           AND (t.tgrelid = $1::text::oid OR t.tgparentid = 0)
         ORDER BY 1, 2"
    );
    let rows = connection.rows(&sql, vec![Arg::text(oid)]).await?;
    Ok(rows
        .iter()
        .map(|row| Effect {
            what: "trigger",
            name: text(row, 0),
            definition: definition(&text(row, 1), &text(row, 2)),
            blocks_writes: true,
        })
        .collect())
}

/// Row security is a wall, not a change: it is shown and does not stop writes.
async fn policies(connection: &mut Connection, oid: &str) -> Result<Vec<Effect>> {
    let rows = connection
        .rows(
            "SELECT p.polname::text, p.polcmd::text,
                    coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), ''),
                    coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '')
             FROM pg_catalog.pg_policy AS p WHERE p.polrelid = $1::text::oid ORDER BY p.polname",
            vec![Arg::text(oid)],
        )
        .await?;
    let effect = |name: String, text: String| Effect {
        what: "policy",
        name,
        definition: definition(&text, ""),
        blocks_writes: false,
    };
    if rows.is_empty() {
        return Ok(vec![effect("row security".to_owned(), "no policy: only the owner sees rows".to_owned())]);
    }
    Ok(rows
        .iter()
        .map(|row| {
            let command = match text(row, 1).as_str() {
                "r" => "SELECT",
                "a" => "INSERT",
                "w" => "UPDATE",
                "d" => "DELETE",
                _ => "ALL",
            };
            effect(text(row, 0), format!("{command} USING ({}) WITH CHECK ({})", text(row, 2), text(row, 3)))
        })
        .collect())
}

fn text(row: &RawRow, at: usize) -> String {
    row.get(at).and_then(Raw::text).unwrap_or_default().to_owned()
}

fn truth(row: &RawRow, at: usize) -> bool {
    row.get(at).is_some_and(Raw::truth)
}

/// A list of names that came as JSON: a name may hold any character.
fn list(row: &RawRow, at: usize) -> Result<Vec<String>> {
    let Some(json) = row.get(at).and_then(Raw::text) else { return Ok(Vec::new()) };
    serde_json::from_str(json).map_err(|error| Error::Internal(format!("a list of column names: {error}")))
}
