//! Whether a table can be bound as the operator says, and what of it may be written.
//!
//! Pure: everything that the database has to say stands in [`Table`].
//!
//! What makes rows or tenants ambiguous is refused for reading as well. What the database would do by
//! itself is refused for writing only, and listed.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::binding::{
    PathStep, Reference, Resolved, ResolvedColumn, Resource, SideEffect, Tenancy, TenantPath, UnboundColumn,
};
use mendwright_core::code::Code;
use mendwright_core::kind::Kind;

use super::engine::Engine;
use super::introspect::{Base, Table, TableColumn, definition, hint, kinds, same_name, show};
use super::raw::Affinity;
use crate::error::{Error, Result};

/// A refusal that names the resource.
fn refuse(resource: &Resource, code: Code, message: impl std::fmt::Display) -> Error {
    Error::refused(code, format!("resource `{}`: {message}", resource.name))
}

/// A resource's table, judged.
pub(crate) fn bind(
    engine: Engine,
    resource: &Resource,
    all: &BTreeMap<String, Resource>,
    table: &Table,
    tenant: TenantPath,
) -> Result<Resolved> {
    let columns = columns(engine, resource, table)?;
    key(engine, resource, table)?;
    if let Some(name) = resource.cascades.iter().find(|name| !all.contains_key(*name)) {
        let message = format!("`cascades` names `{}`, which is no resource{}", show(name), hint(name, all.keys()));
        return Err(refuse(resource, Code::ConfigReference, message));
    }
    let referenced_by = references(engine, resource, all, table);
    let side_effects = side_effects(resource, table, &referenced_by);
    let bound: BTreeSet<&str> = columns.values().map(|column| column.column.as_str()).collect();
    let unbound = table.columns.iter().filter(|column| !bound.contains(column.name.as_str()));
    Ok(Resolved {
        name: resource.name.clone(),
        database: resource.database.clone(),
        schema: table.schema.clone(),
        table: table.name.clone(),
        key: resource.key.clone(),
        class: resource.class,
        module: resource.module.clone(),
        unbound: unbound
            .map(|column| UnboundColumn {
                column: column.name.clone(),
                declared: column.declared.clone(),
                has_constant_default: column.constant_default,
                generated: column.generated.is_some(),
            })
            .collect(),
        fixed: fixed(engine, resource, table, &tenant),
        write_refusals: write_refusals(resource, table, &side_effects),
        delete_refusals: delete_refusals(resource, &referenced_by),
        side_effects,
        foreign_keys: table.foreign_keys.clone(),
        referenced_by,
        unique: table.unique.clone(),
        sequence_key: physical(resource, &resource.key)
            .filter_map(|name| table.column(engine, name))
            .any(|column| column.identity.is_some()),
        cascades: resource.cascades.clone(),
        stable_reads: resource.stable_reads.unwrap_or_else(|| resource.class.stable_reads_by_default()),
        guest_keys: resource.guest_keys,
        tenant,
        columns,
    })
}

/// The physical names behind logical ones, as the operator wrote them.
fn physical<'a>(resource: &'a Resource, names: &'a [String]) -> impl Iterator<Item = &'a str> {
    names.iter().filter_map(|name| resource.columns.get(name)).map(|column| column.column.as_str())
}

fn columns(engine: Engine, resource: &Resource, table: &Table) -> Result<BTreeMap<String, ResolvedColumn>> {
    let mut columns = BTreeMap::new();
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for logical in resource.columns.keys() {
        let (found, kind) = column(engine, resource, table, logical)?;
        if let Some(first) = seen.insert(&found.name, logical) {
            let message = format!("`{first}` and `{logical}` are both bound to column `{}`", show(&found.name));
            return Err(refuse(resource, Code::ConfigValue, message));
        }
        let Some(bound) = resource.columns.get(logical) else { continue };
        columns.insert(
            logical.clone(),
            ResolvedColumn {
                column: found.name.clone(),
                kind,
                declared: found.declared.clone(),
                nullable: found.nullable,
                has_constant_default: found.constant_default,
                generated: found.generated.is_some(),
                exact: exactness(found, kind).is_none(),
                currency: bound.currency.clone(),
                class: bound.class.unwrap_or(resource.class),
                sensitive: bound.sensitive,
                derived: bound.derived.clone(),
            },
        );
    }
    Ok(columns)
}

/// A bound column as the table has it, and what it holds.
fn column<'t>(engine: Engine, resource: &Resource, table: &'t Table, logical: &str) -> Result<(&'t TableColumn, Kind)> {
    let Some(bound) = resource.columns.get(logical) else {
        let message = format!("has no column `{}`{}", show(logical), hint(logical, resource.columns.keys()));
        return Err(refuse(resource, Code::ConfigColumn, message));
    };
    let Some(found) = table.column(engine, &bound.column) else {
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        let message = format!(
            "table `{}` has no column `{}`{}",
            show(&table.name),
            show(&bound.column),
            hint(&bound.column, &names)
        );
        return Err(refuse(resource, Code::ColumnUnknown, message));
    };
    let kind = bound.kind.unwrap_or(found.kind);
    if !kinds::may_be(&found.base, found.kind, kind) {
        let message = format!(
            "column `{logical}` cannot be {kind}: `{}` is {}, which is {}",
            show(&found.name),
            if found.declared.is_empty() { "untyped".to_owned() } else { show(&found.declared) },
            found.kind
        );
        return Err(refuse(resource, Code::ConfigValue, message));
    }
    Ok((found, kind))
}

/// Why `=` on the column is not equality of what a job sees of it.
fn exactness(column: &TableColumn, kind: Kind) -> Option<String> {
    match (&column.base, kind) {
        // The float's reason does not hold for a decimal: 0 and −0 are one number there.
        (Base::Sqlite(_), Kind::Decimal(_)) if column.kind == Kind::Float => None,
        (Base::Sqlite(_), Kind::Float) => Some("is a float, where 0 equals −0".to_owned()),
        _ => column.inexact.clone(),
    }
}

fn key(engine: Engine, resource: &Resource, table: &Table) -> Result<()> {
    let refuse = |code, message: String| Err(refuse(resource, code, message));
    if let Some(why) = &table.unkeyed {
        return refuse(Code::KeyUnusable, format!("`{}` {why}", show(&table.name)));
    }
    if resource.key.is_empty() {
        return refuse(Code::KeyUnusable, "a resource needs a `key`".to_owned());
    }
    let mut names = Vec::with_capacity(resource.key.len());
    for logical in &resource.key {
        let (found, kind) = column(engine, resource, table, logical)?;
        if let Some(why) = exactness(found, kind) {
            let message = format!("key column `{}` {why}: two keys of a plan could be one row", show(&found.name));
            return refuse(Code::KeyInexact, message);
        }
        if found.nullable {
            let message = format!("key column `{}` may be NULL: make it NOT NULL", show(&found.name));
            return refuse(Code::KeyUnusable, message);
        }
        names.push(found.name.as_str());
    }
    if !is_unique(engine, table, &names) {
        let message = format!(
            "no unique index or primary key stands on exactly ({}); {}",
            names.iter().map(|name| show(name)).collect::<Vec<_>>().join(", "),
            candidates(table)
        );
        return refuse(Code::KeyUnusable, message);
    }
    Ok(())
}

/// Whether an index that covers every row stands on exactly these columns.
fn is_unique(engine: Engine, table: &Table, names: &[&str]) -> bool {
    table.unique.iter().any(|unique| {
        !unique.partial
            && unique.columns.len() == names.len()
            && names.iter().all(|name| unique.columns.iter().any(|column| same_name(engine, column, name)))
    })
}

/// What could be a key, for a message.
fn candidates(table: &Table) -> String {
    let usable = |name: &String| table.columns.iter().any(|column| column.name == *name && !column.nullable);
    let found: Vec<String> = table
        .unique
        .iter()
        .filter(|unique| !unique.partial && !unique.columns.is_empty() && unique.columns.iter().all(usable))
        .map(|unique| format!("({})", unique.columns.iter().map(|name| show(name)).collect::<Vec<_>>().join(", ")))
        .collect();
    if found.is_empty() {
        return "the table has no key that is unique and NOT NULL".to_owned();
    }
    format!("it has one on {}", found.join(" and on "))
}

/// The way from a row to its tenant: `chain` from the resource upwards, with their tables.
pub(crate) fn path(engine: Engine, chain: &[&Resource], tables: &[Table]) -> Result<TenantPath> {
    let mut path = TenantPath { steps: vec![], column: None, kind: None, declared: None, only: None, shared: false };
    let (Some(first), Some(root), Some(root_table)) = (chain.first(), chain.last(), tables.last()) else {
        return Err(Error::Internal("a chain begins with its resource".to_owned()));
    };
    for (own, parent) in chain.iter().zip(tables).zip(chain.iter().zip(tables).skip(1)) {
        path.steps.push(step(engine, first, own, parent)?);
    }
    match &root.tenancy {
        Tenancy::Column(logical) => {
            let (found, kind) = column(engine, root, root_table, logical)?;
            tenant_column(root, found, kind)?;
            path.column = Some(found.name.clone());
            path.kind = Some(kind);
            path.declared = Some(found.declared.clone());
        }
        Tenancy::Database(only) => path.only = Some(only.clone()),
        Tenancy::Shared => path.shared = true,
        Tenancy::Schema(_) | Tenancy::Through { .. } => {}
    }
    Ok(path)
}

fn tenant_column(root: &Resource, found: &TableColumn, kind: Kind) -> Result<()> {
    let refuse =
        |why: String| Err(refuse(root, Code::TenantInexact, format!("tenant column `{}` {why}", show(&found.name))));
    if let Some(why) = exactness(found, kind) {
        return refuse(format!("{why}: a tenant could see another's rows"));
    }
    match kind {
        Kind::Integer => Ok(()),
        // `'02' = 2` there: the name of one tenant would find another.
        Kind::Text if found.base == Base::Sqlite(Affinity::Numeric) => refuse(format!(
            "is declared {}, where SQLite makes a number of each text that looks like one",
            show(&found.declared)
        )),
        Kind::Text => Ok(()),
        Kind::Boolean | Kind::Float | Kind::Decimal(_) | Kind::Bytes | Kind::Timestamp | Kind::Json => {
            refuse(format!("is {kind}; a tenant's name is text or an integer"))
        }
    }
}

/// One step of a path: each row must have at most one parent.
fn step(
    engine: Engine,
    first: &Resource,
    (own, own_table): (&&Resource, &Table),
    (parent, parent_table): (&&Resource, &Table),
) -> Result<PathStep> {
    let Tenancy::Through { on, .. } = &own.tenancy else {
        return Err(Error::Internal("only a parent's child has a next step".to_owned()));
    };
    if on.is_empty() {
        return Err(refuse(first, Code::TenantPath, format!("`tenant.on` of `{}` is empty", own.name)));
    }
    let mut pairs = Vec::with_capacity(on.len());
    for (logical, parents) in on {
        let (mine, kind) = column(engine, own, own_table, logical)?;
        let (theirs, parent_kind) = column(engine, parent, parent_table, parents)?;
        for (found, kind, resource) in [(mine, kind, own), (theirs, parent_kind, parent)] {
            if let Some(why) = exactness(found, kind) {
                let message = format!(
                    "column `{}` of `{}` {why}: a row could have two parents",
                    show(&found.name),
                    resource.name
                );
                return Err(refuse(first, Code::TenantInexact, message));
            }
        }
        if !kinds::joins(&mine.base, &theirs.base) {
            let message = format!(
                "`{}` ({}) and `{}` ({}) are of different types: a row could have two parents",
                show(&mine.name),
                show(&mine.declared),
                show(&theirs.name),
                show(&theirs.declared)
            );
            return Err(refuse(first, Code::TenantPath, message));
        }
        if theirs.nullable {
            let message = format!("column `{}` of its parent `{}` may be NULL", show(&theirs.name), parent.name);
            return Err(refuse(first, Code::TenantPath, message));
        }
        pairs.push((mine.name.clone(), theirs.name.clone()));
    }
    let theirs: Vec<&str> = pairs.iter().map(|(_, theirs)| theirs.as_str()).collect();
    if let Some(why) = &parent_table.unkeyed {
        return Err(refuse(first, Code::TenantPath, format!("its parent `{}` {why}", show(&parent_table.name))));
    }
    if !is_unique(engine, parent_table, &theirs) {
        let message = format!(
            "its parent `{}` has no unique index on exactly ({}): a row could have two parents",
            parent.name,
            theirs.iter().map(|name| show(name)).collect::<Vec<_>>().join(", ")
        );
        return Err(refuse(first, Code::TenantPath, message));
    }
    Ok(PathStep {
        resource: parent.name.clone(),
        schema: parent_table.schema.clone(),
        table: parent_table.name.clone(),
        on: pairs,
    })
}

/// Logical columns that no job may write, beside the key's and derived ones.
fn fixed(engine: Engine, resource: &Resource, table: &Table, tenant: &TenantPath) -> BTreeSet<String> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    match tenant.steps.first() {
        Some(step) => names.extend(step.on.iter().map(|(own, _)| own.as_str())),
        None => names.extend(tenant.column.as_deref()),
    }
    for reference in table.referenced_by.iter().filter(|r| is_cascade(&r.on_update)) {
        names.extend(reference.references.iter().map(String::as_str));
    }
    for column in &table.columns {
        if column.generated.is_some() || column.identity_always {
            names.insert(&column.name);
        }
    }
    let is_fixed = |physical: &str| names.iter().any(|name| same_name(engine, name, physical));
    resource
        .columns
        .iter()
        .filter(|(logical, column)| is_fixed(&column.column) || resource.key.contains(*logical))
        .map(|(logical, _)| logical.clone())
        .collect()
}

/// Whether a foreign key's action changes the rows that refer.
fn is_cascade(action: &str) -> bool {
    matches!(action, "CASCADE" | "SET NULL" | "SET DEFAULT")
}

/// Foreign keys that point here, with the resource that binds the referring table.
fn references(engine: Engine, resource: &Resource, all: &BTreeMap<String, Resource>, table: &Table) -> Vec<Reference> {
    let mut references = table.referenced_by.clone();
    for reference in &mut references {
        let mut bound = all.values().filter(|other| {
            other.database == resource.database
                && same_name(engine, &other.table, &reference.table)
                && (other.schema.is_none() || other.schema == reference.schema)
        });
        reference.resource = match (bound.next(), bound.next()) {
            (Some(only), None) => Some(only.name.clone()),
            // Several: the one that the operator listed.
            (Some(_), Some(_)) => all
                .values()
                .find(|other| {
                    resource.cascades.contains(&other.name) && same_name(engine, &other.table, &reference.table)
                })
                .map(|other| other.name.clone()),
            (None, _) => None,
        };
    }
    references
}

/// What the operator says of a trigger or rule.
fn declaration(resource: &Resource, what: &str, name: &str) -> Option<String> {
    if let Some(said) = resource.triggers.get(name) {
        return Some(said.clone());
    }
    let derived = resource.columns.iter().filter(|(_, column)| {
        column.derived.as_deref().and_then(|text| text.strip_prefix(what)).is_some_and(|rest| rest.trim() == name)
    });
    let columns: Vec<&str> = derived.map(|(logical, _)| logical.as_str()).collect();
    (!columns.is_empty()).then(|| format!("sets {}", columns.join(", ")))
}

fn side_effects(resource: &Resource, table: &Table, references: &[Reference]) -> Vec<SideEffect> {
    let mut effects: Vec<SideEffect> = table
        .effects
        .iter()
        .map(|effect| SideEffect {
            what: effect.what.to_owned(),
            name: effect.name.clone(),
            definition: effect.definition.clone(),
            declared: declaration(resource, effect.what, &effect.name),
            blocks_writes: effect.blocks_writes,
        })
        .collect();
    let quiet = |what: &str, name: String, definition: String, declared: Option<String>| SideEffect {
        what: what.to_owned(),
        name,
        definition,
        declared,
        blocks_writes: false,
    };
    for column in &table.columns {
        let derived = resource
            .columns
            .values()
            .find(|bound| bound.column.eq_ignore_ascii_case(&column.name))
            .and_then(|bound| bound.derived.clone());
        if let Some(expression) = &column.generated {
            effects.push(quiet("generated", column.name.clone(), definition(expression, ""), derived));
        } else if let Some(how) = &column.identity {
            effects.push(quiet("identity", column.name.clone(), show(how), derived));
        } else if let Some(expression) = column.default.as_ref().filter(|_| !column.constant_default) {
            effects.push(quiet("default", column.name.clone(), definition(expression, ""), derived));
        }
    }
    for reference in references {
        let to = format!(
            "{} ({})",
            show(&reference.table),
            reference.columns.iter().map(|c| show(c)).collect::<Vec<_>>().join(", ")
        );
        for (event, action) in [("DELETE", &reference.on_delete), ("UPDATE", &reference.on_update)] {
            if is_cascade(action) {
                let declared = reference
                    .resource
                    .as_ref()
                    .filter(|name| {
                        (event, action.as_str()) == ("DELETE", "CASCADE") && resource.cascades.contains(*name)
                    })
                    .map(|name| format!("planned with `{name}`"));
                effects.push(quiet("cascade", to.clone(), format!("ON {event} {action}"), declared));
            }
        }
    }
    effects
}

fn write_refusals(resource: &Resource, table: &Table, effects: &[SideEffect]) -> Vec<(String, String)> {
    let mut refusals = Vec::new();
    if resource.tenancy == Tenancy::Shared {
        let message = format!("`{}` is shared reference data: jobs may read it and never write it", resource.name);
        refusals.push((Code::ResourceShared.text().to_owned(), message));
    }
    for (code, why) in &table.unwritable {
        refusals.push((code.text().to_owned(), format!("`{}` {why}", show(&table.name))));
    }
    for effect in effects.iter().filter(|effect| effect.blocks_writes && effect.declared.is_none()) {
        let name = show(&effect.name);
        let message = format!(
            "{} `{name}` on `{}` is not declared; say what it does: `triggers = {{ \"{name}\" = \"…\" }}`, or `derived = \"{} {name}\"` at the column that it sets",
            effect.what,
            show(&table.name),
            effect.what,
        );
        refusals.push((Code::SideEffect.text().to_owned(), message));
    }
    refusals
}

fn delete_refusals(resource: &Resource, references: &[Reference]) -> Vec<(String, String)> {
    let mut refusals = Vec::new();
    for reference in references.iter().filter(|reference| is_cascade(&reference.on_delete)) {
        let listed = reference.resource.as_ref().is_some_and(|name| resource.cascades.contains(name));
        if reference.on_delete == "CASCADE" && listed {
            continue;
        }
        let remedy = match (&reference.resource, reference.on_delete.as_str()) {
            (Some(name), "CASCADE") => format!("list `{name}` in `cascades`, so that they are planned too"),
            (None, "CASCADE") => "bind it as a resource and list that in `cascades`".to_owned(),
            _ => "no plan can show that; delete or move those rows first".to_owned(),
        };
        let message = format!(
            "a delete would {} rows of `{}`: {remedy}",
            if reference.on_delete == "CASCADE" { "take along" } else { "change" },
            show(&reference.table)
        );
        refusals.push((Code::Referenced.text().to_owned(), message));
    }
    refusals
}
