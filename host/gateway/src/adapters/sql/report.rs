//! What `mendwright resource check` tells of a resource: how it is bound, and what its rows are like.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::binding::{Resolved, Resource, Tenancy, TenantPath};
use mendwright_core::kind::Kind;

use super::connection::{Arg, Connection};
use super::engine::{Engine, ident};
use super::introspect::{self, show};
use super::raw::{Raw, to_value};
use super::scope::Scope;
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::target::Target;

/// Tenants that [`tenants`] lists at most. More than this is no list that a person reads; a table
/// with more is asked tenant by tenant.
pub const TENANTS_MAX: usize = 10_000;

/// A resource as it stands in its database.
#[derive(Clone, Debug)]
pub struct ResourceReport {
    /// Everything that the database said of the table.
    pub resolved: Resolved,
    /// The way to the tenant in words: `InvoiceLine.InvoiceId → Invoice.InvoiceId → Invoice.Country = tenant`.
    pub path: String,
    /// Rows of the tenant that was asked for.
    pub rows: Option<u64>,
    /// Rows that belong to nobody: the way to their tenant ends, or the tenant is NULL.
    pub orphans: u64,
    /// SQLite: logical column → stored values that cannot be of its kind; none where there are none.
    pub unreadable: BTreeMap<String, u64>,
}

/// Checks a resource against its database, in one snapshot.
///
/// # Errors
/// What the binding check refuses for reading; the target's own errors.
pub async fn check_resource(
    target: &Target,
    resource: &Resource,
    all: &BTreeMap<String, Resource>,
    tenant: Option<&str>,
) -> Result<ResourceReport> {
    let mut snapshot = Snapshot::open(target).await?;
    let report = check(snapshot.connection(), resource, all, tenant).await;
    snapshot.close().await;
    report
}

async fn check(
    connection: &mut Connection,
    resource: &Resource,
    all: &BTreeMap<String, Resource>,
    tenant: Option<&str>,
) -> Result<ResourceReport> {
    let resolved = introspect::resolve(connection, resource, all, tenant).await?;
    let rows = match tenant {
        Some(tenant) => Some(rows_of(connection, &resolved, tenant).await?),
        None => None,
    };
    Ok(ResourceReport {
        path: path_in_words(&resolved, &resource.tenancy),
        orphans: orphans(connection, &resolved).await?,
        unreadable: unreadable(connection, &resolved).await?,
        rows,
        resolved,
    })
}

/// The way to the tenant, in the database's own names.
fn path_in_words(resolved: &Resolved, tenancy: &Tenancy) -> String {
    let path = &resolved.tenant;
    if path.shared {
        return "shared: nobody's, never written".to_owned();
    }
    let mut words = Vec::new();
    let mut table = resolved.table.as_str();
    for step in &path.steps {
        let side = |table: &str, columns: Vec<&String>| match columns.as_slice() {
            [one] => format!("{}.{}", show(table), show(one)),
            many => format!("{}.({})", show(table), many.iter().map(|c| show(c)).collect::<Vec<_>>().join(", ")),
        };
        words.push(side(table, step.on.iter().map(|(own, _)| own).collect()));
        words.push(side(&step.table, step.on.iter().map(|(_, theirs)| theirs).collect()));
        table = &step.table;
    }
    let end = match (&path.column, &path.only) {
        (Some(column), _) => format!("{}.{} = tenant", show(table), show(column)),
        (None, Some(only)) => format!("the whole database is `{}`", show(only)),
        (None, None) => match (tenancy, &resolved.schema) {
            (Tenancy::Schema(pattern), _) => format!("schema {} = tenant", show(pattern)),
            (_, schema) => format!("schema {} = tenant", schema.as_deref().map(show).unwrap_or_default()),
        },
    };
    words.push(end);
    words.join(" → ")
}

async fn rows_of(connection: &mut Connection, resolved: &Resolved, tenant: &str) -> Result<u64> {
    let engine = connection.engine();
    let scope = Scope::new(engine, resolved, tenant, 1);
    let sql = format!(
        "SELECT {} FROM {} AS t{} WHERE {}",
        number(engine, "count(*)"),
        engine.table(resolved.schema.as_deref(), &resolved.table),
        scope.joins,
        scope.condition
    );
    connection.count(&sql, scope.args()).await
}

/// A number as a result of either engine can carry it.
fn number(engine: Engine, expression: &str) -> String {
    match engine {
        Engine::Sqlite => expression.to_owned(),
        Engine::Postgres => format!("{expression}::text"),
    }
}

/// The way up with outer joins: the FROM clause, the alias at its end, and the column there that is
/// NULL for rows of nobody.
fn outer(engine: Engine, schema: Option<&str>, table: &str, path: &TenantPath) -> (String, Option<String>) {
    let mut from = format!("{} AS t", engine.table(schema, table));
    let mut child = "t".to_owned();
    let mut last = None;
    for (n, step) in path.steps.iter().enumerate() {
        let alias = format!("p{}", n + 1);
        let on: Vec<String> =
            step.on.iter().map(|(own, theirs)| format!("{child}.{} = {alias}.{}", ident(own), ident(theirs))).collect();
        let parent = engine.table(step.schema.as_deref(), &step.table);
        from.push_str(&format!(" LEFT JOIN {parent} AS {alias} ON {}", on.join(" AND ")));
        last = step.on.first().map(|(_, theirs)| format!("{alias}.{}", ident(theirs)));
        child = alias;
    }
    let end = path.column.as_ref().map(|column| format!("{child}.{}", ident(column)));
    (from, end.or(last))
}

async fn orphans(connection: &mut Connection, resolved: &Resolved) -> Result<u64> {
    let engine = connection.engine();
    let (from, end) = outer(engine, resolved.schema.as_deref(), &resolved.table, &resolved.tenant);
    let Some(end) = end else { return Ok(0) };
    connection.count(&format!("SELECT {} FROM {from} WHERE {end} IS NULL", number(engine, "count(*)")), vec![]).await
}

/// SQLite stores anything anywhere: counts values that no job could read.
async fn unreadable(connection: &mut Connection, resolved: &Resolved) -> Result<BTreeMap<String, u64>> {
    if connection.engine() == Engine::Postgres || resolved.columns.is_empty() {
        return Ok(BTreeMap::new());
    }
    let counts: Vec<String> = resolved
        .columns
        .values()
        .map(|column| {
            let name = ident(&column.column);
            let fits = match column.kind {
                Kind::Boolean => format!("typeof({name}) = 'integer' AND {name} IN (0, 1)"),
                Kind::Integer => format!("typeof({name}) = 'integer'"),
                Kind::Float => format!("typeof({name}) IN ('integer', 'real')"),
                Kind::Decimal(_) => format!(
                    "typeof({name}) IN ('integer', 'real') OR (typeof({name}) = 'text' AND {name} GLOB '*[0-9]*' AND {name} NOT GLOB '*[^0-9.eE+-]*')"
                ),
                Kind::Text | Kind::Timestamp | Kind::Json => format!("typeof({name}) = 'text'"),
                Kind::Bytes => format!("typeof({name}) = 'blob'"),
            };
            format!("coalesce(sum({name} IS NOT NULL AND NOT ({fits})), 0)")
        })
        .collect();
    let sql = format!("SELECT {} FROM {}", counts.join(", "), ident(&resolved.table));
    let row = connection.rows(&sql, vec![]).await?.into_iter().next().unwrap_or_default();
    let counted = resolved.columns.keys().zip(row.iter().map(|raw| raw.integer().unwrap_or(0)));
    Ok(counted.filter_map(|(name, n)| Some((name.clone(), u64::try_from(n).ok().filter(|n| *n > 0)?))).collect())
}

/// The tenants that have rows of this resource, sorted, at most [`TENANTS_MAX`] of them.
///
/// # Errors
/// What the binding check refuses for reading; the target's own errors.
pub async fn tenants(target: &Target, resource: &Resource, all: &BTreeMap<String, Resource>) -> Result<Vec<String>> {
    match &resource.tenancy {
        Tenancy::Database(only) => return Ok(vec![only.clone()]),
        Tenancy::Shared => return Ok(Vec::new()),
        Tenancy::Column(_) | Tenancy::Schema(_) | Tenancy::Through { .. } => {}
    }
    let mut snapshot = Snapshot::open(target).await?;
    let names = match &resource.tenancy {
        Tenancy::Schema(pattern) => by_schema(snapshot.connection(), resource, pattern).await,
        Tenancy::Column(_) | Tenancy::Through { .. } | Tenancy::Database(_) | Tenancy::Shared => {
            by_rows(snapshot.connection(), resource, all).await
        }
    };
    snapshot.close().await;
    names
}

async fn by_schema(connection: &mut Connection, resource: &Resource, pattern: &str) -> Result<Vec<String>> {
    // Checks the pattern itself; the tenant does not matter for that.
    introspect::tenant_schema(connection.engine(), resource, Some("any"))?;
    let (before, after) = pattern.split_once("{tenant}").unwrap_or((pattern, ""));
    let schemas = introspect::schemas_with(connection, &resource.table).await?;
    let names: BTreeSet<String> = schemas
        .iter()
        .filter_map(|schema| schema.strip_prefix(before)?.strip_suffix(after))
        .filter(|name| introspect::tenant_schema(Engine::Postgres, resource, Some(name)).is_ok())
        .map(ToOwned::to_owned)
        .collect();
    Ok(names.into_iter().take(TENANTS_MAX).collect())
}

async fn by_rows(
    connection: &mut Connection,
    resource: &Resource,
    all: &BTreeMap<String, Resource>,
) -> Result<Vec<String>> {
    let engine = connection.engine();
    let resolved = introspect::resolve(connection, resource, all, None).await?;
    let (from, end) = outer(engine, resolved.schema.as_deref(), &resolved.table, &resolved.tenant);
    let (Some(end), Some(kind)) = (end, resolved.tenant.kind) else {
        return Ok(resolved.tenant.only.into_iter().collect());
    };
    let read = match engine {
        Engine::Sqlite => end.clone(),
        Engine::Postgres => format!("{end}::text"),
    };
    let sql = format!(
        "SELECT DISTINCT {read} AS tenant FROM {from} WHERE {end} IS NOT NULL ORDER BY tenant LIMIT {}",
        match engine {
            Engine::Sqlite => "?1",
            Engine::Postgres => "$1",
        }
    );
    let limit = i64::try_from(TENANTS_MAX).unwrap_or(i64::MAX);
    let rows = connection.rows(&sql, vec![Arg::Int(limit)]).await?;
    let value = |raw: &Raw| to_value(engine, kind, raw)?.plain();
    let names: BTreeSet<String> = rows.iter().filter_map(|row| value(row.first()?)).collect();
    Ok(names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::super::introspect::tests::{database, resources};
    use super::*;

    const SHOP: &str = "CREATE TABLE invoice (id INTEGER PRIMARY KEY, country TEXT, total NUMERIC(10,2));
        CREATE TABLE line (id INTEGER PRIMARY KEY, doc INT, q INTEGER, blob BLOB);
        INSERT INTO invoice VALUES (1, 'Germany', 1.5), (2, 'France', 'much'), (3, NULL, 0), (4, 'Germany', '2.5');
        INSERT INTO line VALUES (1, 1, 1, NULL), (2, 4, 'x', 'text'), (3, 3, 1, x'00'), (4, 9, 1, NULL), (5, NULL, 1, 1);";

    #[tokio::test]
    async fn rows_of_a_tenant_and_of_nobody_are_counted() {
        let (_directory, target) = database(SHOP).await;
        let all = resources(&["i invoice id | country | id country total", "l line id | >i doc=id | id doc q blob"]);
        let line = check_resource(&target, &all["l"], &all, Some("Germany")).await.unwrap();
        assert_eq!(line.path, "line.doc → invoice.id → invoice.country = tenant");
        assert_eq!((line.rows, line.orphans), (Some(2), 3));
        assert_eq!(line.unreadable, [("blob".to_owned(), 2), ("q".to_owned(), 1)].into());
        let invoice = check_resource(&target, &all["i"], &all, None).await.unwrap();
        assert_eq!((invoice.rows, invoice.orphans, invoice.path.as_str()), (None, 1, "invoice.country = tenant"));
        assert_eq!(invoice.unreadable, [("total".to_owned(), 1)].into());
        assert_eq!(tenants(&target, &all["i"], &all).await.unwrap(), ["France", "Germany"]);
        assert_eq!(tenants(&target, &all["l"], &all).await.unwrap(), ["Germany"]);
    }

    #[tokio::test]
    async fn tenants_may_be_numbers_or_one_or_nobody() {
        let (_directory, target) = database(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, org INT); INSERT INTO t VALUES (1, 10), (2, 9), (3, 'x')",
        )
        .await;
        let all = resources(&["t t id | org | id org", "d t id | @acme | id org", "s t id | shared | id org"]);
        assert_eq!(tenants(&target, &all["t"], &all).await.unwrap(), ["10", "9"]);
        assert_eq!(tenants(&target, &all["d"], &all).await.unwrap(), ["acme"]);
        assert!(tenants(&target, &all["s"], &all).await.unwrap().is_empty());
        let report = check_resource(&target, &all["t"], &all, Some("9")).await.unwrap();
        assert_eq!((report.rows, report.orphans), (Some(1), 0));
        let report = check_resource(&target, &all["d"], &all, Some("acme")).await.unwrap();
        assert_eq!((report.rows, report.path.as_str()), (Some(3), "the whole database is `acme`"));
    }
}
