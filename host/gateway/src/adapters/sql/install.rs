//! Our own tables in a target, and whether the target is one that can be trusted with a commit.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::authority::Allow;
use mendwright_core::binding::Resolved;
use mendwright_core::change::Action;
use mendwright_core::code::Code;
use mendwright_core::id::{Id, Target as TargetId};

use super::connection::{Arg, Connection, Role};
use super::engine::Engine;
use super::flush::journal::own_table;
use super::introspect::show;
use super::raw::Raw;
use crate::error::{Error, Result};
use crate::target::Target;

/// The version of our tables.
const FORMAT: &str = "3";

/// The role that repairs write as, unless the operator names another.
pub const ROLE_REPAIR: &str = "mendwright_repair";

/// The role that dry runs read as.
pub const ROLE_READ: &str = "mendwright_read";

/// Which database it is, wherever it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetIdentity {
    /// Written by `database init`.
    pub identity: String,
    /// The database's own name; empty for SQLite, where a file may be moved.
    pub name: String,
    /// PostgreSQL's system identifier; empty for SQLite, and where the role may not read it.
    pub system: String,
}

/// What an application's table must be open for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundTable {
    /// The schema, where the engine has them.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// Physical columns that grants let jobs update.
    pub updates: BTreeSet<String>,
    /// Whether a grant lets jobs insert.
    pub inserts: bool,
    /// Whether a grant lets jobs delete.
    pub deletes: bool,
    /// A physical column of the key if rows are locked here although none is written: PostgreSQL wants
    /// UPDATE on at least one column of a table for `FOR SHARE`, and a whole-table right would be more.
    pub locks: Option<String>,
}

/// How a target is to be prepared.
#[derive(Clone, Debug)]
pub struct Init {
    /// SQLite: whether the operator agreed to WAL mode, in which dry runs need no copy of the file.
    pub switch_to_wal: bool,
    /// The identity to write if it has none.
    pub identity: Id<TargetId>,
    /// PostgreSQL: the least-privilege role to make and grant to; none leaves roles alone.
    pub role: Option<String>,
    /// The application's tables that the role needs; see [`bound_tables`].
    pub tables: Vec<BoundTable>,
}

/// What `database init` found and did.
#[derive(Clone, Debug)]
pub struct Initialized {
    /// Which database it is now.
    pub identity: TargetIdentity,
    /// Whether it was prepared by this call; false if it had been before.
    pub created: bool,
    /// SQLite's journal mode after it.
    pub journal_mode: Option<String>,
    /// What an operator should know, without being stopped by it.
    pub warnings: Vec<String>,
}

/// What these resources need, with what grants allow for each: their tables, and the tables on the
/// way to the tenant or behind a foreign key, whose rows are locked while others are written.
#[must_use]
pub fn bound_tables(resources: &[Resolved], allowed: &BTreeMap<String, Allow>) -> Vec<BoundTable> {
    let mut tables: BTreeMap<(Option<String>, String), BoundTable> = BTreeMap::new();
    let mut entry = |schema: &Option<String>, table: &str, change: &dyn Fn(&mut BoundTable)| {
        let new = || BoundTable { schema: schema.clone(), table: table.to_owned(), ..BoundTable::default() };
        change(tables.entry((schema.clone(), table.to_owned())).or_insert_with(new));
    };
    let nothing = Allow { read: BTreeSet::new(), write: BTreeSet::new(), operations: BTreeSet::new() };
    for resource in resources {
        let allow = allowed.get(&resource.name).unwrap_or(&nothing);
        let does = |action| allow.operations.contains(&action);
        let writes = !allow.operations.is_empty();
        entry(&resource.schema, &resource.table, &|table| {
            table.inserts |= does(Action::Insert);
            table.deletes |= does(Action::Delete);
            if does(Action::Update) {
                let written = allow.write.iter().filter(|name| !resource.is_fixed(name));
                let columns = written.filter_map(|name| resource.columns.get(name));
                table.updates.extend(columns.map(|column| column.column.clone()));
            }
            if writes {
                table.locks = resource.key_columns().next().map(|(_, column)| column.column.clone());
            }
        });
        for step in resource.tenant.steps.iter().filter(|_| writes) {
            let column = step.on.first().map(|(_, parents)| parents.clone());
            entry(&step.schema, &step.table, &|table| table.locks = table.locks.take().or_else(|| column.clone()));
        }
        for key in resource.foreign_keys.iter().filter(|_| writes) {
            if resources.iter().any(|other| other.table == key.table && other.schema == key.schema) {
                let column = key.references.first().cloned();
                entry(&key.schema, &key.table, &|table| table.locks = table.locks.take().or_else(|| column.clone()));
            }
        }
    }
    let mut tables: Vec<BoundTable> = tables.into_values().collect();
    for table in &mut tables {
        // A right to update some column is a right to lock.
        table.locks = table.locks.take().filter(|_| table.updates.is_empty());
    }
    tables
}

/// Prepares a target: our own tables, its identity, and the roles. Does nothing twice.
///
/// # Errors
/// `ERR_TARGET_UNAVAILABLE`, or `ERR_TARGET_UNSAFE` where the role may not or the server is set up so
/// that it could lose a commit.
pub async fn init(target: &Target, options: &Init) -> Result<Initialized> {
    let mut connection = Connection::open(target, Role::Write).await?;
    let done = init_on(&mut connection, target, options).await;
    connection.close().await;
    done
}

async fn init_on(connection: &mut Connection, target: &Target, options: &Init) -> Result<Initialized> {
    safety(connection, target).await?;
    let mut journal_mode = None;
    let mut warnings = warnings(connection, target, &options.tables).await?;
    if target.engine == Engine::Sqlite {
        let pragma = if options.switch_to_wal { "PRAGMA journal_mode = WAL" } else { "PRAGMA journal_mode" };
        let mode = connection.one(pragma, vec![]).await?.text().unwrap_or_default().to_lowercase();
        if mode != "wal" {
            warnings.push(format!(
                "the file is in journal mode `{mode}`: each dry run reads a copy of it; `mendwright database init {} --wal` switches it",
                target.name
            ));
        }
        journal_mode = Some(mode);
    }
    let existed = exists(connection, target).await?;
    prepared(connection, target, existed).await?;
    connection.batch("BEGIN").await?;
    let written = write(connection, target, options).await;
    match written {
        Ok(()) => connection.commit().await?,
        Err(error) => {
            connection.batch("ROLLBACK").await?;
            return Err(error);
        }
    }
    let identity = identity(connection, target).await?;
    let created = identity.identity == options.identity.to_string();
    Ok(Initialized { identity, created, journal_mode, warnings })
}

async fn write(connection: &mut Connection, target: &Target, options: &Init) -> Result<()> {
    connection
        .batch(&super::own_tables::statements(target.engine, &target.schema, options.role.as_deref(), &options.tables))
        .await?;
    let (first, second) = if target.engine == Engine::Sqlite { ("?1", "?2") } else { ("$1", "$2") };
    let sql = format!(
        "INSERT INTO {} (key, value) VALUES ({first}, {second}) ON CONFLICT (key) DO NOTHING",
        own_table(target, "meta")
    );
    for (key, value) in [("format", FORMAT.to_owned()), ("identity", options.identity.to_string())] {
        connection.execute(&sql, vec![Arg::text(key), Arg::text(value)]).await?;
    }
    Ok(())
}

/// Whether our tables are there; asked of the catalog, because a statement that fails would end the
/// transaction that it stands in, and of PostgreSQL once for each connection.
async fn exists(connection: &mut Connection, target: &Target) -> Result<bool> {
    if matches!(connection, Connection::Postgres(server) if server.is_prepared) {
        return Ok(true);
    }
    let found = match target.engine {
        Engine::Sqlite => {
            let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'mendwright_meta'";
            connection.one(sql, vec![]).await?
        }
        Engine::Postgres => {
            let sql = "SELECT count(*)::text FROM pg_catalog.pg_class AS c
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                 WHERE n.nspname = $1 AND c.relname = 'meta'";
            connection.one(sql, vec![Arg::text(target.schema.clone())]).await?
        }
    };
    let exists = found.integer() == Some(1);
    if let Connection::Postgres(server) = connection {
        server.is_prepared = exists;
    }
    Ok(exists)
}

/// The identity that `database init` wrote, if our tables are of the format that this version knows.
async fn prepared(connection: &mut Connection, target: &Target, existed: bool) -> Result<Option<String>> {
    if !existed {
        return Ok(None);
    }
    let sql = format!("SELECT key, value FROM {}", own_table(target, "meta"));
    let mut identity = None;
    for row in connection.rows(&sql, vec![]).await? {
        match (row.first().and_then(Raw::text), row.get(1).and_then(Raw::text)) {
            (Some("format"), Some(format)) if format != FORMAT => {
                return Err(Error::refused(
                    Code::TargetUnsafe,
                    format!(
                        "database `{}` was prepared by another version of Mendwright (format {}, not {FORMAT})",
                        target.name,
                        show(format)
                    ),
                ));
            }
            (Some("identity"), Some(found)) => identity = Some(found.to_owned()),
            _ => {}
        }
    }
    Ok(identity)
}

/// Format and identity as `database init` writes them, in one text.
pub(crate) fn written(identity: &str) -> String {
    format!("{FORMAT} {identity}")
}

/// Reads what `database init` wrote.
pub(crate) async fn identity(connection: &mut Connection, target: &Target) -> Result<TargetIdentity> {
    let existed = exists(connection, target).await?;
    let Some(identity) = prepared(connection, target, existed).await? else {
        return Err(Error::refused(
            Code::TargetUninitialized,
            format!("database `{}` has not been prepared: mendwright database init {}", target.name, target.name),
        ));
    };
    if target.engine == Engine::Sqlite {
        return Ok(TargetIdentity { identity, name: String::new(), system: String::new() });
    }
    let [name, system] = system(connection).await?;
    Ok(TargetIdentity { identity, name, system })
}

/// PostgreSQL: the database's name, and the server's identifier; asked once for each connection.
async fn system(connection: &mut Connection) -> Result<[String; 2]> {
    if let Connection::Postgres(server) = &*connection
        && let Some(known) = &server.system
    {
        return Ok(known.clone());
    }
    // Everybody may, unless a DBA took it away; asked first, because an error would end the transaction.
    let sql = "SELECT pg_catalog.current_database()::text,
         pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')::text";
    let found = connection.rows(sql, vec![]).await?.into_iter().next().unwrap_or_default();
    let system = if found.get(1).is_some_and(Raw::truth) {
        connection.one("SELECT system_identifier::text FROM pg_catalog.pg_control_system()", vec![]).await?
    } else {
        Raw::Null
    };
    let text = |raw: Option<&Raw>| raw.and_then(Raw::text).unwrap_or_default().to_owned();
    let known = [text(found.first()), text(Some(&system))];
    if let Connection::Postgres(server) = connection {
        server.system = Some(known.clone());
    }
    Ok(known)
}

/// Refuses a target that could lose what it committed.
pub(crate) async fn safety(connection: &mut Connection, target: &Target) -> Result<()> {
    if target.engine == Engine::Sqlite {
        return Ok(());
    }
    let found = connection.rows(&format!("SELECT {SAFETY}"), vec![]).await?.into_iter().next().unwrap_or_default();
    is_safe(target, &found)
}

/// What PostgreSQL says for [`is_safe`].
pub(crate) const SAFETY: &str = "pg_catalog.current_setting('fsync'), pg_catalog.current_setting('full_page_writes'), \
    pg_catalog.pg_is_in_recovery()::text";

/// Refuses a server that could lose what it committed.
pub(crate) fn is_safe(target: &Target, found: &[Raw]) -> Result<()> {
    let refuse = |why: &str| Err(Error::refused(Code::TargetUnsafe, format!("database `{}` {why}", target.name)));
    for (raw, setting) in found.iter().zip(["fsync", "full_page_writes"]) {
        if raw.text() != Some("on") {
            return refuse(&format!("runs with {setting} = off and could lose a commit"));
        }
    }
    if found.get(2).is_some_and(Raw::truth) {
        return refuse("is a standby: nothing can be written there; point `url` at its primary");
    }
    Ok(())
}

/// What makes the second wall lower than it could be: roles that no grant and no policy stops.
async fn warnings(connection: &mut Connection, target: &Target, tables: &[BoundTable]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    if target.engine == Engine::Sqlite {
        return Ok(warnings);
    }
    let role = role_facts(connection).await?;
    if role.superuser {
        warnings
            .push(format!("`{}` is a superuser: no grant and no policy limits it; use it for init only", role.name));
    } else if role.bypasses {
        warnings.push(format!("`{}` has BYPASSRLS: no row policy limits it; use it for init only", role.name));
    }
    for table in tables {
        let sql = "SELECT pg_catalog.pg_has_role(c.relowner, 'MEMBER')::text FROM pg_catalog.pg_class AS c
             WHERE c.oid = pg_catalog.to_regclass($1)";
        let name = Engine::Postgres.table(table.schema.as_deref(), &table.table);
        if !role.superuser && connection.one(sql, vec![Arg::text(name)]).await?.truth() {
            warnings.push(format!("`{}` owns `{}` and may do anything to it", role.name, show(&table.table)));
        }
    }
    Ok(warnings)
}

struct RoleFacts {
    name: String,
    superuser: bool,
    bypasses: bool,
}

async fn role_facts(connection: &mut Connection) -> Result<RoleFacts> {
    let sql = "SELECT rolname::text, rolsuper::text, rolbypassrls::text FROM pg_catalog.pg_roles
         WHERE rolname = current_user";
    let row = connection.rows(sql, vec![]).await?.into_iter().next().unwrap_or_default();
    Ok(RoleFacts {
        name: row.first().and_then(Raw::text).map(show).unwrap_or_default(),
        superuser: row.get(1).is_some_and(Raw::truth),
        bypasses: row.get(2).is_some_and(Raw::truth),
    })
}

/// Refuses a `read_url` whose role can write one of these tables.
///
/// # Errors
/// `ERR_TARGET_WRITABLE`.
pub async fn check_read_url(target: &Target, tables: &[BoundTable]) -> Result<()> {
    if target.engine == Engine::Sqlite || target.read_url.is_none() {
        return Ok(());
    }
    let mut connection = Connection::open(target, Role::Read).await?;
    let checked = cannot_write(&mut connection, target, tables).await;
    connection.close().await;
    checked
}

async fn cannot_write(connection: &mut Connection, target: &Target, tables: &[BoundTable]) -> Result<()> {
    let refuse = |why: String| {
        Err(Error::refused(
            Code::TargetWritable,
            format!("`database.{}.read_url` connects as a role that {why}; `{ROLE_READ}` cannot", target.name),
        ))
    };
    let role = role_facts(connection).await?;
    if role.superuser {
        return refuse("is a superuser".to_owned());
    }
    for table in tables {
        let name = Engine::Postgres.table(table.schema.as_deref(), &table.table);
        let sql = "SELECT (pg_catalog.has_table_privilege(o, 'INSERT, UPDATE, DELETE, TRUNCATE')
                  OR pg_catalog.has_any_column_privilege(o, 'INSERT, UPDATE'))::text
             FROM (SELECT pg_catalog.to_regclass($1)::oid AS o) AS t WHERE o IS NOT NULL";
        if connection.one(sql, vec![Arg::text(name)]).await?.truth() {
            return refuse(format!("can write `{}`", show(&table.table)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::introspect::tests::{database, resource};
    use super::super::own_tables::init_sql;
    use super::*;

    fn options(switch_to_wal: bool, n: u64) -> Init {
        Init { switch_to_wal, identity: Id::from_time(n, [0; 10]), role: None, tables: vec![] }
    }

    #[tokio::test]
    async fn a_target_is_prepared_once_and_keeps_its_identity() {
        let (_directory, target) = database("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
        let mut connection = Connection::open(&target, Role::Read).await.unwrap();
        let missing = identity(&mut connection, &target).await.unwrap_err();
        assert_eq!(missing.code(), Code::TargetUninitialized);
        connection.close().await;
        let first = init(&target, &options(false, 1)).await.unwrap();
        assert!(first.created && first.warnings[0].contains("--wal"), "{first:?}");
        assert_eq!(first.journal_mode.as_deref(), Some("delete"));
        let again = init(&target, &options(true, 2)).await.unwrap();
        assert!(!again.created && again.warnings.is_empty());
        assert_eq!((again.journal_mode.as_deref(), again.identity), (Some("wal"), first.identity));
    }

    #[tokio::test]
    async fn a_target_of_another_format_is_left_alone() {
        let (_directory, target) = database("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
        init(&target, &options(false, 1)).await.unwrap();
        let mut connection = Connection::open(&target, Role::Write).await.unwrap();
        connection.batch("UPDATE mendwright_meta SET value = '99' WHERE key = 'format'").await.unwrap();
        connection.close().await;
        assert_eq!(init(&target, &options(false, 1)).await.unwrap_err().code(), Code::TargetUnsafe);
    }

    #[tokio::test]
    async fn a_role_gets_the_columns_that_grants_write_and_no_more() {
        let (_directory, target) = database(
            "CREATE TABLE i (id INTEGER PRIMARY KEY, tenant TEXT, total NUMERIC, note TEXT);
             CREATE TABLE l (id INTEGER PRIMARY KEY, i INT REFERENCES i, q INT)",
        )
        .await;
        let all = [resource("i i id | tenant | id tenant total note"), resource("l l id | >i i=id | id i q")];
        let all: BTreeMap<_, _> = all.into_iter().map(|resource| (resource.name.clone(), resource)).collect();
        let mut connection = Connection::open(&target, Role::Read).await.unwrap();
        let mut resolved = Vec::new();
        for resource in all.values() {
            resolved.push(super::super::introspect::resolve(&mut connection, resource, &all, None).await.unwrap());
        }
        let allow = |write: &[&str], operations: &[Action]| Allow {
            read: BTreeSet::new(),
            write: write.iter().map(|name| (*name).to_owned()).collect(),
            operations: operations.iter().copied().collect(),
        };
        let writes = [("l".to_owned(), allow(&["q"], &[Action::Update, Action::Delete]))].into();
        let tables = bound_tables(&resolved, &writes);
        assert_eq!(tables[0].locks.as_deref(), Some("id"), "a line's invoice is locked while the line is written");
        assert!(tables[0].updates.is_empty() && tables[1].updates.contains("q") && tables[1].deletes);
        let sql = init_sql(Engine::Postgres, "mendwright", Some(ROLE_REPAIR), &tables);
        assert!(sql.contains("GRANT UPDATE (\"q\"), DELETE ON \"l\" TO \"mendwright_repair\""), "{sql}");
        assert!(sql.contains("GRANT UPDATE (\"id\") ON \"i\""), "{sql}");
        assert!(!sql.contains("GRANT INSERT ON \"l\""));
        let reads = bound_tables(&resolved, &BTreeMap::new());
        assert!(reads.iter().all(|table| table.locks.is_none()));
    }
}
