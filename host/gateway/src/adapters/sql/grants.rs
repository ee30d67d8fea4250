//! The least-privilege roles of a PostgreSQL target, as SQL.

use super::engine::{Engine, ident};
use super::install::{BoundTable, ROLE_READ};

/// The roles, and what they may do with our own tables.
pub(super) fn roles(schema: &str, role: &str) -> String {
    let mut sql = String::new();
    for name in [role, ROLE_READ] {
        sql.push_str(&format!(
            "DO $mendwright$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN CREATE ROLE {} NOLOGIN; END IF;
END $mendwright$;\n",
            literal(name),
            ident(name)
        ));
    }
    let own = |table: &str| Engine::Postgres.table(Some(schema), table);
    let (repair, reader) = (ident(role), ident(ROLE_READ));
    sql.push_str(&format!(
        "-- To connect as one of them: ALTER ROLE {repair} LOGIN PASSWORD '…';  or GRANT {repair} TO a login of yours.
-- Several hosts connect as the same role: each must see and be able to end the other's connections.
GRANT USAGE ON SCHEMA {schema} TO {repair}, {reader};
GRANT SELECT ON {meta}, {attempts}, {fence}, {commits}, {journal} TO {repair}, {reader};
GRANT INSERT, UPDATE ON {attempts}, {fence} TO {repair};
GRANT INSERT ON {commits}, {journal} TO {repair};
-- After `journal.keep` the pages go; what a plan consumed stays for ever.
GRANT DELETE ON {attempts}, {journal} TO {repair};
GRANT UPDATE (pruned_at_us) ON {commits} TO {repair};
GRANT EXECUTE ON FUNCTION {lock}(regclass, text) TO {repair};\n",
        schema = ident(schema),
        meta = own("meta"),
        attempts = own("attempts"),
        fence = own("fence"),
        commits = own("commits"),
        journal = own("journal"),
        lock = own("lock_table"),
    ));
    sql
}

/// What the roles may do with the application's tables.
pub(super) fn tables(role: &str, tables: &[BoundTable]) -> String {
    let (repair, reader) = (ident(role), ident(ROLE_READ));
    let mut sql = String::new();
    let mut schemas: Vec<&str> = tables.iter().filter_map(|table| table.schema.as_deref()).collect();
    schemas.sort_unstable();
    schemas.dedup();
    for schema in schemas {
        sql.push_str(&format!("GRANT USAGE ON SCHEMA {} TO {repair}, {reader};\n", ident(schema)));
    }
    for table in tables {
        let name = Engine::Postgres.table(table.schema.as_deref(), &table.table);
        sql.push_str(&format!("GRANT SELECT ON {name} TO {repair}, {reader};\n"));
        let mut columns: Vec<&String> = table.updates.iter().chain(&table.locks).collect();
        columns.sort_unstable();
        columns.dedup();
        let columns: Vec<String> = columns.into_iter().map(|column| ident(column)).collect();
        let mut rights = Vec::new();
        if !columns.is_empty() {
            rights.push(format!("UPDATE ({})", columns.join(", ")));
        }
        if table.inserts {
            rights.push("INSERT".to_owned());
        }
        if table.deletes {
            rights.push("DELETE".to_owned());
        }
        if rights.is_empty() {
            continue;
        }
        if let Some(lock) = &table.locks {
            sql.push_str(&format!(
                "-- {} is never written: PostgreSQL wants UPDATE on one column of a table whose rows are locked (FOR SHARE).\n",
                comment(&ident(lock))
            ));
        }
        sql.push_str(&format!("GRANT {} ON {name} TO {repair};\n", rights.join(", ")));
    }
    sql
}

/// A text as a SQL literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name in a comment must not begin a new line.
fn comment(text: &str) -> String {
    mendwright_core::text::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_comment_or_its_quotes() {
        let table = BoundTable {
            table: "t\"; DROP".into(),
            locks: Some("a\nDROP TABLE x; --".into()),
            ..BoundTable::default()
        };
        let sql = tables("r'o\"le", &[table]);
        assert!(sql.contains("ON \"t\"\"; DROP\" TO \"r'o\"\"le\""));
        assert!(sql.contains("-- \"a\\nDROP"), "{sql}");
        assert!(roles("mendwright", "r'o").contains("rolname = 'r''o'"));
    }
}
