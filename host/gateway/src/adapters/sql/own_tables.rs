//! The SQL that makes our own tables in a target.

use super::engine::{Engine, ident};
use super::install::BoundTable;

/// What [`super::install::init`] would run, for a person to read and a DBA to run. The identity is written by `init`
/// only: it is a random one.
#[must_use]
pub fn init_sql(engine: Engine, schema: &str, role: Option<&str>, tables: &[BoundTable]) -> String {
    let mut sql = String::from("-- What `mendwright database init` runs. It can be run again.\n");
    sql.push_str(&statements(engine, schema, role, tables));
    sql
}

pub(super) fn statements(engine: Engine, schema: &str, role: Option<&str>, tables: &[BoundTable]) -> String {
    let mut sql = own_tables(engine, schema);
    if engine == Engine::Postgres {
        sql.push_str(&format!("REVOKE ALL ON SCHEMA {} FROM PUBLIC;\n", ident(schema)));
        sql.push_str(&lock_function(schema));
        if let Some(role) = role {
            sql.push_str(&super::grants::roles(schema, role));
            sql.push_str(&super::grants::tables(role, tables));
        }
    }
    sql
}

/// Our tables: name, columns (`#` is a whole number, `?` may be NULL), and what holds for a row.
const OWN_TABLES: [(&str, &[&str], &str); 5] = [
    ("meta", &["key", "value"], "PRIMARY KEY (key)"),
    ("attempts", &["run", "#attempt", "#raised_at_us"], "PRIMARY KEY (run)"),
    (
        "fence",
        &["tenant", "relation", "#epoch", "?run", "?#attempt", "?#since_us", "?#pid", "?backend_start"],
        "PRIMARY KEY (tenant, relation)",
    ),
    (
        "commits",
        &[
            "digest",
            "run",
            "#generation",
            "#batch",
            "tenant",
            "kind",
            "#epoch",
            "#committed_at_us",
            "#changes",
            "mac",
            "?#pruned_at_us",
        ],
        "PRIMARY KEY (digest, batch),\n  UNIQUE (run, generation, batch),\n  CHECK (kind IN ('apply', 'rollback'))",
    ),
    (
        "journal",
        &[
            "run",
            "#generation",
            "#batch",
            "#page",
            "resource",
            "relation",
            "action",
            "columns",
            "rows",
            "#changes",
            "mac",
        ],
        "PRIMARY KEY (run, generation, batch, page)",
    ),
];

fn own_tables(engine: Engine, schema: &str) -> String {
    let (text, number, end) = match engine {
        Engine::Sqlite => ("TEXT", "INTEGER", " STRICT"),
        Engine::Postgres => ("text", "bigint", ""),
    };
    let mut sql = match engine {
        Engine::Sqlite => String::new(),
        Engine::Postgres => format!("CREATE SCHEMA IF NOT EXISTS {};\n", ident(schema)),
    };
    for (table, columns, rules) in OWN_TABLES {
        let name = match engine {
            Engine::Sqlite => ident(&format!("mendwright_{table}")),
            Engine::Postgres => engine.table(Some(schema), table),
        };
        let columns: String = columns
            .iter()
            .map(|column| {
                let null = if column.starts_with('?') { "" } else { " NOT NULL" };
                let kind = if column.contains('#') { number } else { text };
                format!("  {} {kind}{null},\n", column.trim_start_matches(['?', '#']))
            })
            .collect();
        sql.push_str(&format!("CREATE TABLE IF NOT EXISTS {name} (\n{columns}  {rules}\n){end};\n"));
    }
    let [commits, attempts] = ["commits", "attempts"].map(|table| match engine {
        Engine::Sqlite => ident(&format!("mendwright_{table}")),
        Engine::Postgres => engine.table(Some(schema), table),
    });
    sql.push_str(&format!(
        "CREATE INDEX IF NOT EXISTS mendwright_commits_kept ON {commits} (committed_at_us) WHERE pruned_at_us IS NULL;
CREATE INDEX IF NOT EXISTS mendwright_attempts_raised ON {attempts} (raised_at_us);\n"
    ));
    if engine == Engine::Postgres {
        // Compressing the pages would cost a flush more than anything else in it.
        let journal = engine.table(Some(schema), "journal");
        sql.push_str(&format!("ALTER TABLE {journal} ALTER COLUMN rows SET STORAGE EXTERNAL;\n"));
    }
    sql
}

/// `LOCK TABLE` wants a right to the whole table. Through this function a role that may write some
/// columns can hold a table still for a flush, and no other role can.
fn lock_function(schema: &str) -> String {
    let name = Engine::Postgres.table(Some(schema), "lock_table");
    format!(
        "CREATE OR REPLACE FUNCTION {name}(relation regclass, mode text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $mendwright$
BEGIN
  IF mode NOT IN ('ROW EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE') OR NOT has_any_column_privilege(session_user, relation, 'SELECT') THEN
    RAISE EXCEPTION 'not permitted' USING ERRCODE = '42501';
  END IF;
  EXECUTE format('LOCK TABLE %s IN %s MODE', relation, mode);
END $mendwright$;
REVOKE ALL ON FUNCTION {name}(regclass, text) FROM PUBLIC;\n"
    )
}
