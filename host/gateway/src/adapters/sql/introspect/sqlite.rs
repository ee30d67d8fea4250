//! SQLite's catalog: its pragmas, and the text of its statements.

use mendwright_core::binding::{ForeignKey, Reference, Unique};
use mendwright_core::code::Code;
use mendwright_core::kind::Kind;

use super::ddl::Ddl;
use super::{Base, Effect, Table, TableColumn, defaults, definition, kinds};
use crate::adapters::sql::connection::{Arg, Connection, RawRow};
use crate::adapters::sql::engine::ident;
use crate::adapters::sql::raw::{Affinity, Raw};
use crate::error::Result;

/// Tables that an operator may bind: not SQLite's own and not ours.
const OURS: &str = r"name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE 'mendwright\_%' ESCAPE '\'";

pub(super) async fn names(connection: &mut Connection) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' AND {OURS} ORDER BY name"
    );
    Ok(connection.rows(&sql, vec![]).await?.iter().map(|row| text(row, 0)).collect())
}

pub(super) async fn table(connection: &mut Connection, name: &str) -> Result<Option<Table>> {
    let sql = format!(
        "SELECT l.name, l.type, l.wr, l.strict, coalesce(m.sql, '') FROM pragma_table_list AS l
         LEFT JOIN sqlite_schema AS m ON m.name = l.name AND m.type IN ('table', 'view')
         WHERE l.schema = 'main' AND l.name = ?1 COLLATE NOCASE AND {}",
        OURS.replace("name", "l.name")
    );
    let Some(found) = connection.rows(&sql, vec![Arg::text(name)]).await?.into_iter().next() else {
        return Ok(None);
    };
    let (name, what, sql) = (text(&found, 0), text(&found, 1), text(&found, 4));
    let facts = Facts { without_rowid: truth(&found, 2), strict: truth(&found, 3), ddl: Ddl::new(&sql) };
    let mut unique = unique(connection, &name).await?;
    let columns = columns(connection, &name, &facts, &mut unique).await?;
    let unkeyed = match what.as_str() {
        "view" => Some("is a view: bind the table behind it".to_owned()),
        "virtual" | "shadow" => Some("is a virtual table".to_owned()),
        _ => None,
    };
    let unwritable = unkeyed.iter().map(|why| (Code::SideEffect, why.clone())).collect();
    Ok(Some(Table {
        foreign_keys: foreign_keys(connection, &name).await?,
        referenced_by: referenced_by(connection, &name, &columns).await?,
        effects: effects(connection, &name, &facts.ddl).await?,
        schema: None,
        name,
        columns,
        unique,
        unkeyed,
        unwritable,
    }))
}

/// What the columns' rules depend on beside the pragmas.
struct Facts<'a> {
    without_rowid: bool,
    strict: bool,
    ddl: Ddl<'a>,
}

async fn unique(connection: &mut Connection, table: &str) -> Result<Vec<Unique>> {
    let rows = connection
        .rows(
            "SELECT l.name, l.partial, x.cid, x.name FROM pragma_index_list(?1, 'main') AS l
             JOIN pragma_index_xinfo(l.name, 'main') AS x
             WHERE l.\"unique\" = 1 AND x.key = 1 ORDER BY l.name, x.seqno",
            vec![Arg::text(table)],
        )
        .await?;
    let mut found: Vec<Unique> = Vec::new();
    let mut expressions = Vec::new();
    for row in &rows {
        let name = text(row, 0);
        if found.last().is_none_or(|last| last.name != name) {
            found.push(Unique { name: name.clone(), columns: vec![], deferrable: false, partial: truth(row, 1) });
        }
        match (integer(row, 2), found.last_mut()) {
            (cid, Some(last)) if cid >= 0 => last.columns.push(text(row, 3)),
            _ => expressions.push(name),
        }
    }
    for index in &mut found {
        if expressions.contains(&index.name) {
            index.columns.clear();
        }
    }
    Ok(found)
}

async fn columns(
    connection: &mut Connection,
    table: &str,
    facts: &Facts<'_>,
    unique: &mut Vec<Unique>,
) -> Result<Vec<TableColumn>> {
    let rows = connection
        .rows(
            "SELECT i.name, i.type, i.\"notnull\", i.dflt_value, i.pk, i.hidden,
                    (SELECT count(*) FROM pragma_index_list(?1, 'main') AS l WHERE l.origin = 'pk')
             FROM pragma_table_xinfo(?1, 'main') AS i ORDER BY i.cid",
            vec![Arg::text(table)],
        )
        .await?;
    let keys = rows.iter().filter(|row| integer(row, 4) > 0).count();
    let mut columns = Vec::with_capacity(rows.len());
    for row in &rows {
        let (name, mut declared) = (text(row, 0), text(row, 1));
        // The one primary key that has no index of its own is the row's number; `INTEGER PRIMARY KEY
        // DESC` has one, and then it is an ordinary column that may be NULL.
        let is_rowid = keys == 1
            && integer(row, 4) == 1
            && integer(row, 6) == 0
            && !facts.without_rowid
            && declared.eq_ignore_ascii_case("INTEGER");
        if is_rowid {
            unique.insert(
                0,
                Unique { name: String::new(), columns: vec![name.clone()], deferrable: false, partial: false },
            );
        }
        if facts.strict && declared.eq_ignore_ascii_case("ANY") {
            // ANY keeps what it is given in a STRICT table; elsewhere the word means NUMERIC.
            declared.clear();
        }
        let kind = kinds::of_sqlite(&declared);
        let nullable = integer(row, 2) == 0 && !is_rowid;
        let default = row.get(3).and_then(Raw::text).map(ToOwned::to_owned);
        let generated = (integer(row, 5) >= 2)
            .then(|| facts.ddl.column(&name).map_or_else(|| "GENERATED ALWAYS".to_owned(), ToOwned::to_owned));
        columns.push(TableColumn {
            constant_default: !is_rowid
                && generated.is_none()
                && default.as_deref().map_or(nullable, defaults::is_constant),
            identity: (is_rowid && facts.ddl.has(&["AUTOINCREMENT"])).then(|| "AUTOINCREMENT".to_owned()),
            identity_always: false,
            inexact: inexact(connection, table, &name, kind).await?,
            base: Base::Sqlite(Affinity::of(&declared)),
            kind,
            name,
            declared,
            nullable,
            default,
            generated,
        });
    }
    Ok(columns)
}

/// Why `=` on this column is not equality of bytes. No pragma tells the collation of a column without
/// an index, but a UNION takes its first column's: with `NOCASE` it keeps two of these three texts.
async fn inexact(connection: &mut Connection, table: &str, column: &str, kind: Kind) -> Result<Option<String>> {
    if kind == Kind::Float {
        return Ok(Some("is a float, where 0 equals −0".to_owned()));
    }
    let sql = format!(
        "SELECT count(*) FROM (SELECT {} AS x FROM {} WHERE 0
         UNION SELECT 'a' UNION SELECT 'A' UNION SELECT 'a ' UNION SELECT 'A ')",
        ident(column),
        ident(table)
    );
    let Ok(found) = connection.rows(&sql, vec![]).await else {
        return Ok(Some("has a collation that only its application knows".to_owned()));
    };
    Ok(match found.first().map_or(0, |row| integer(row, 0)) {
        4 => None,
        _ => Some("has a collation (NOCASE or RTRIM) that takes different texts for the same".to_owned()),
    })
}

/// Foreign keys out of the table. Each can be checked at COMMIT: `PRAGMA defer_foreign_keys`.
async fn foreign_keys(connection: &mut Connection, table: &str) -> Result<Vec<ForeignKey>> {
    let rows = connection
        .rows(
            "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1, 'main') ORDER BY id DESC, seq",
            vec![Arg::text(table)],
        )
        .await?;
    let mut found: Vec<(i64, ForeignKey)> = Vec::new();
    for row in &rows {
        if found.last().is_none_or(|(id, _)| *id != integer(row, 0)) {
            let key =
                ForeignKey { columns: vec![], schema: None, table: text(row, 1), references: vec![], deferrable: true };
            found.push((integer(row, 0), key));
        }
        if let Some((_, key)) = found.last_mut() {
            key.columns.push(text(row, 2));
            key.references.extend(row.get(3).and_then(Raw::text).map(ToOwned::to_owned));
        }
    }
    let mut keys = Vec::with_capacity(found.len());
    for (_, mut key) in found {
        if key.references.is_empty() {
            // Without columns it is the parent's primary key that is meant.
            let sql = "SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE pk > 0 ORDER BY pk";
            let names = connection.rows(sql, vec![Arg::text(key.table.clone())]).await?;
            key.references = names.iter().map(|row| text(row, 0)).collect();
        }
        keys.push(key);
    }
    Ok(keys)
}

async fn referenced_by(connection: &mut Connection, table: &str, own: &[TableColumn]) -> Result<Vec<Reference>> {
    let rows = connection
        .rows(
            "SELECT m.name, f.id, f.\"from\", f.\"to\", f.on_update, f.on_delete,
                    (SELECT i.name FROM pragma_table_xinfo(?1, 'main') AS i WHERE i.pk = f.seq + 1)
             FROM sqlite_schema AS m JOIN pragma_foreign_key_list(m.name, 'main') AS f
             WHERE m.type = 'table' AND f.\"table\" = ?1 COLLATE NOCASE ORDER BY m.name, f.id DESC, f.seq",
            vec![Arg::text(table)],
        )
        .await?;
    let mut found: Vec<(i64, Reference)> = Vec::new();
    for row in &rows {
        let (name, id) = (text(row, 0), integer(row, 1));
        if found.last().is_none_or(|(last, reference)| *last != id || reference.table != name) {
            let reference = Reference {
                resource: None,
                schema: None,
                table: name,
                columns: vec![],
                references: vec![],
                on_delete: text(row, 5),
                on_update: text(row, 4),
                deferrable: true,
            };
            found.push((id, reference));
        }
        if let Some((_, reference)) = found.last_mut() {
            let to = row.get(3).and_then(Raw::text).map_or_else(|| text(row, 6), ToOwned::to_owned);
            let canonical = own.iter().find(|column| column.name.eq_ignore_ascii_case(&to));
            reference.columns.push(text(row, 2));
            reference.references.push(canonical.map_or(to, |column| column.name.clone()));
        }
    }
    Ok(found.into_iter().map(|(_, reference)| reference).collect())
}

async fn effects(connection: &mut Connection, table: &str, ddl: &Ddl<'_>) -> Result<Vec<Effect>> {
    let rows = connection
        .rows(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE ORDER BY name",
            vec![Arg::text(table)],
        )
        .await?;
    let triggers = rows.iter().map(|row| Effect {
        what: "trigger",
        name: text(row, 0),
        definition: definition(&text(row, 1), ""),
        blocks_writes: true,
    });
    let conflicts = ddl.conflicts().into_iter().map(|how| Effect {
        what: "conflict",
        name: format!("ON CONFLICT {how}"),
        definition: "a constraint of the table does something else than to refuse a row".to_owned(),
        blocks_writes: true,
    });
    Ok(triggers.chain(conflicts).collect())
}

fn text(row: &RawRow, at: usize) -> String {
    row.get(at).and_then(Raw::text).unwrap_or_default().to_owned()
}

fn integer(row: &RawRow, at: usize) -> i64 {
    row.get(at).and_then(Raw::integer).unwrap_or(0)
}

fn truth(row: &RawRow, at: usize) -> bool {
    integer(row, at) != 0
}
