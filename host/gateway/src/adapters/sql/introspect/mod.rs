//! What a database says of a table, and a resource resolved with it.
//!
//! - `sqlite`, `postgres`: the same questions, asked of each engine's catalog; `mark`: whether PostgreSQL would
//!   answer the same as before;
//! - `ddl`: what SQLite says only in the text of a `CREATE TABLE`;
//! - `kinds`: declared types as kinds, and which kinds an operator may say instead;
//! - `defaults`: which defaults give the same value each time.
//!
//! Nothing here judges: `super::check` does, on the [`Table`] that this module found.

mod ddl;
mod defaults;
pub(crate) mod kinds;
mod mark;
mod postgres;
mod sqlite;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::binding::{ForeignKey, Reference, Resolved, Resource, Tenancy, TenantPath, Unique};
use mendwright_core::code::Code;
use mendwright_core::kind::Kind;
use mendwright_core::text::{did_you_mean, escape_short};
use sha2::{Digest as _, Sha256};

use super::check;
use super::connection::Connection;
use super::engine::Engine;
use crate::error::{Error, Result};

/// How far a row may be from the row that says whose it is. Each step is a join in every statement
/// and a lock in every flush; real schemas have two or three.
pub(crate) const PATH_STEPS_MAX: usize = 8;

/// Characters of a trigger's or rule's definition that people see; the rest is in its hash.
const DEFINITION_CHARS_MAX: usize = 160;

/// A table as its database describes it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    pub(crate) columns: Vec<TableColumn>,
    pub(crate) unique: Vec<Unique>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) referenced_by: Vec<Reference>,
    /// Triggers, rules, policies and the like.
    pub(crate) effects: Vec<Effect>,
    /// Why no index of this table can make a key unique: it is a view, it has inheritance children.
    pub(crate) unkeyed: Option<String>,
    /// Why nothing may be written although it can be read.
    pub(crate) unwritable: Vec<(Code, String)>,
}

/// A column as its database describes it.
#[derive(Clone, Debug)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) declared: String,
    /// What it holds if the operator says nothing.
    pub(crate) kind: Kind,
    pub(crate) base: Base,
    /// Why the database's `=` is not equality of what is stored.
    pub(crate) inexact: Option<String>,
    pub(crate) nullable: bool,
    /// The expression of its default.
    pub(crate) default: Option<String>,
    pub(crate) constant_default: bool,
    /// The expression that computes it.
    pub(crate) generated: Option<String>,
    /// How a sequence fills it, in the database's words.
    pub(crate) identity: Option<String>,
    /// Whether the database refuses another value than the sequence's.
    pub(crate) identity_always: bool,
}

/// What a column's type comes down to, for the rules that depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// SQLite's affinity of the column.
    Sqlite(super::raw::Affinity),
    /// The name of the PostgreSQL type below all domains, and its digits after the point.
    Postgres { name: String, scale: Option<u16> },
}

/// Something that the database does by itself.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) what: &'static str,
    pub(crate) name: String,
    pub(crate) definition: String,
    pub(crate) blocks_writes: bool,
}

impl Table {
    /// The column with this physical name, as the engine compares names.
    pub(crate) fn column(&self, engine: Engine, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| same_name(engine, &column.name, name))
    }
}

/// Whether two physical names are one: SQLite does not tell `Invoice` from `INVOICE`.
pub(crate) fn same_name(engine: Engine, a: &str, b: &str) -> bool {
    match engine {
        Engine::Sqlite => a.eq_ignore_ascii_case(b),
        Engine::Postgres => a == b,
    }
}

/// A name from a database, safe to print.
pub(crate) fn show(name: &str) -> String {
    escape_short(name, 80)
}

/// A definition for people, with a hash of the whole of it: a trigger whose body changes after an
/// approval must show although only its beginning is printed.
pub(crate) fn definition(full: &str, hidden: &str) -> String {
    let one_line = full.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut hash = Sha256::new();
    hash.update(full.as_bytes());
    hash.update([0]);
    hash.update(hidden.as_bytes());
    let hash = hex::encode(hash.finalize());
    format!("{} · {}", escape_short(&one_line, DEFINITION_CHARS_MAX), hash.get(..12).unwrap_or_default())
}

/// Everything that the database says of a resource, checked.
///
/// # Errors
/// What the binding check refuses for reading as well; what it refuses for writing only is listed in
/// the answer.
pub(crate) async fn resolve(
    connection: &mut Connection,
    resource: &Resource,
    all: &BTreeMap<String, Resource>,
    tenant: Option<&str>,
) -> Result<Resolved> {
    let engine = connection.engine();
    let chain = chain(resource, all)?;
    let root = chain.last().copied().unwrap_or(resource);
    let root_schema = tenant_schema(engine, root, tenant)?;
    let mut tables = Vec::with_capacity(chain.len());
    for member in &chain {
        let schema = match &root_schema {
            Some(_) if chain.len() > 1 && member.schema.is_some() => {
                return Err(Error::refused(
                    Code::TenantPath,
                    format!(
                        "resource `{}` belongs to a tenant through `{}`, whose tenants have schemas of their own: leave `schema` out of `{}`",
                        resource.name, root.name, member.name
                    ),
                ));
            }
            Some(schema) => Some(schema.as_str()),
            None => member.schema.as_deref(),
        };
        tables.push(table(connection, member, schema).await?);
    }
    let path = check::path(engine, &chain, &tables)?;
    if let Some(tenant) = tenant {
        tenant_is_exact(connection, resource, &path, tenant).await?;
    }
    let own = tables.into_iter().next().ok_or_else(|| Error::Internal("a chain begins with its resource".into()))?;
    check::bind(engine, resource, all, &own, path)
}

/// PostgreSQL: everything in the catalog that [`resolve`] rests on, as a hash; nothing where that cannot be
/// said in a few words, or where it ends in an error anyway.
pub(crate) async fn mark(
    connection: &mut Connection,
    resource: &Resource,
    all: &BTreeMap<String, Resource>,
    tenant: &str,
) -> Result<Option<String>> {
    let Ok(chain) = chain(resource, all) else { return Ok(None) };
    let root = chain.last().copied().unwrap_or(resource);
    let Ok(root_schema) = tenant_schema(Engine::Postgres, root, Some(tenant)) else { return Ok(None) };
    let mut marks = Vec::with_capacity(chain.len());
    for member in &chain {
        let schema = root_schema.as_deref().or(member.schema.as_deref());
        let Some(mark) = mark::mark(connection, schema, &member.table).await? else { return Ok(None) };
        marks.push(mark);
    }
    Ok(Some(marks.join(" ")))
}

/// The resource and its parents, upwards to the one that knows the tenant.
fn chain<'a>(resource: &'a Resource, all: &'a BTreeMap<String, Resource>) -> Result<Vec<&'a Resource>> {
    let refuse = |code, message: String| Err(Error::refused(code, format!("resource `{}`: {message}", resource.name)));
    let mut chain = vec![resource];
    let mut seen = BTreeSet::from([resource.name.as_str()]);
    let mut current = resource;
    while let Tenancy::Through { resource: parent, .. } = &current.tenancy {
        let Some(next) = all.get(parent) else {
            return refuse(
                Code::ConfigReference,
                format!("`tenant.through` names `{}`, which is no resource{}", show(parent), hint(parent, all.keys())),
            );
        };
        if !seen.insert(next.name.as_str()) {
            return refuse(Code::TenantPath, format!("its way to the tenant comes back to `{}`", next.name));
        }
        if next.database != resource.database {
            return refuse(
                Code::TenantPath,
                format!("its parent `{}` is in another database (`{}`)", next.name, next.database),
            );
        }
        if chain.len() > PATH_STEPS_MAX {
            return refuse(Code::TenantPath, format!("its way to the tenant has more than {PATH_STEPS_MAX} steps"));
        }
        chain.push(next);
        current = next;
    }
    if matches!(current.tenancy, Tenancy::Shared) && chain.len() > 1 {
        return refuse(Code::TenantPath, format!("its parent `{}` is shared: it belongs to no tenant", current.name));
    }
    Ok(chain)
}

/// The schema that is this tenant's, with tenancy by schema.
pub(crate) fn tenant_schema(engine: Engine, root: &Resource, tenant: Option<&str>) -> Result<Option<String>> {
    let Tenancy::Schema(pattern) = &root.tenancy else { return Ok(None) };
    let refuse = |message: &str| Err(Error::refused(Code::ConfigValue, format!("resource `{}`: {message}", root.name)));
    if engine == Engine::Sqlite {
        return refuse("SQLite has no schemas; bind the tenancy by `column`, `through` or `database`");
    }
    if pattern.matches("{tenant}").count() != 1 {
        return refuse("`tenant.schema` must have `{tenant}` in it once, or all tenants would be one");
    }
    let Some(tenant) = tenant else {
        return refuse("each tenant has a schema of its own: say which, with `--tenant`");
    };
    if tenant.is_empty() || !tenant.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return refuse("with tenancy by schema a tenant's name has letters, digits, `_` and `-` only");
    }
    Ok(Some(pattern.replace("{tenant}", tenant)))
}

/// A resource's table as its database describes it.
async fn table(connection: &mut Connection, resource: &Resource, schema: Option<&str>) -> Result<Table> {
    let found = find(connection, schema, &resource.table).await?;
    let Some(found) = found else {
        let names = names(connection, schema).await?;
        let place = schema.map(|s| format!(" in schema `{}`", show(s))).unwrap_or_default();
        return Err(Error::refused(
            Code::TableUnknown,
            format!(
                "resource `{}`: database `{}` has no table `{}`{place}{}",
                resource.name,
                resource.database,
                show(&resource.table),
                hint(&resource.table, names.iter())
            ),
        ));
    };
    Ok(found)
}

/// A table by its name.
pub(crate) async fn find(connection: &mut Connection, schema: Option<&str>, name: &str) -> Result<Option<Table>> {
    match connection.engine() {
        Engine::Sqlite => sqlite::table(connection, name).await,
        Engine::Postgres => postgres::table(connection, schema, name).await,
    }
}

/// The tables and views there are.
pub(crate) async fn names(connection: &mut Connection, schema: Option<&str>) -> Result<Vec<String>> {
    match connection.engine() {
        Engine::Sqlite => sqlite::names(connection).await,
        Engine::Postgres => postgres::names(connection, schema).await,
    }
}

/// The schemas that hold a table of this name, without the database's own.
pub(crate) async fn schemas_with(connection: &mut Connection, name: &str) -> Result<Vec<String>> {
    match connection.engine() {
        Engine::Sqlite => Ok(Vec::new()),
        Engine::Postgres => postgres::schemas_with(connection, name).await,
    }
}

/// A tenant's name must be the column's own way of writing it: `ACME-CORPORATION` must not be found
/// as `ACME-CORPO` in a `varchar(10)`, nor a UUID in capitals as the one that is stored.
async fn tenant_is_exact(
    connection: &mut Connection,
    resource: &Resource,
    path: &TenantPath,
    tenant: &str,
) -> Result<()> {
    let Some(declared) = &path.declared else { return Ok(()) };
    let same = match (connection.engine(), path.kind) {
        (_, Some(Kind::Integer)) => tenant.parse::<i64>().is_ok_and(|n| n.to_string() == tenant),
        (Engine::Sqlite, _) => true,
        (Engine::Postgres, _) => {
            let sql = format!("SELECT (($1::text::{declared})::text = $1 COLLATE \"C\")::text");
            match connection.one(&sql, vec![super::connection::Arg::text(tenant)]).await {
                // `acme` is no UUID.
                Err(Error::Refused { code: Code::ValueRoundTrip, .. }) => false,
                found => found?.truth(),
            }
        }
    };
    if same {
        return Ok(());
    }
    Err(Error::refused(
        Code::TenantInexact,
        format!(
            "resource `{}`: `{}` is not how a column of type {} writes a tenant",
            resource.name,
            show(tenant),
            show(declared)
        ),
    ))
}

/// `; did you mean …?`, or nothing.
pub(crate) fn hint<'a>(typed: &str, names: impl IntoIterator<Item = &'a String>) -> String {
    let lower = typed.to_lowercase();
    let names: Vec<&String> = names.into_iter().collect();
    let same = names.iter().find(|name| name.to_lowercase() == lower).map(|name| name.as_str());
    same.or_else(|| did_you_mean(typed, names.iter().map(|name| name.as_str())))
        .map(|name| format!("; did you mean `{}`?", show(name)))
        .unwrap_or_default()
}
