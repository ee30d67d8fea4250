//! What a table came to for a tenant, as long as everything is the same that it rests on: the database's own
//! description of it and the configuration. Looking at a table costs a small repair more than all else in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mendwright_core::binding::{Resolved, Resource};

use crate::adapters::sql::connection::Connection;
use crate::adapters::sql::engine::Engine;
use crate::adapters::sql::flush::shared::{FileId, file_id};
use crate::adapters::sql::introspect;
use crate::error::Result;
use crate::target::Target;

/// Tables of tenants that are remembered.
const TABLES_MAX: usize = 1_000;

/// What was found; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    bindings: BTreeMap<String, Resource>,
    found: BTreeMap<Of, Arc<Resolved>>,
}

/// A resource, a tenant, and what the database said of the tables then.
type Of = (String, String, AsOf);

/// What a database says of tables, in few words: whatever changes in it, these are others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum AsOf {
    /// SQLite: the file, and its own count of changes of its schema.
    File(FileId, i64),
    /// PostgreSQL: a hash over what its catalog has of them.
    Catalog(String),
}

/// What a resource is for a tenant, in the state that this connection reads.
///
/// # Errors
/// As [`introspect::resolve`].
pub(crate) async fn resolve(
    connection: &mut Connection,
    target: &Target,
    resource: &Resource,
    all: &BTreeMap<String, Resource>,
    tenant: &str,
) -> Result<Arc<Resolved>> {
    let as_of = match connection.engine() {
        Engine::Sqlite => as_of_file(connection, target).await?,
        Engine::Postgres => introspect::mark(connection, resource, all, tenant).await?.map(AsOf::Catalog),
    };
    let of = as_of.map(|as_of| (resource.name.clone(), tenant.to_owned(), as_of));
    if let Some(found) = of.as_ref().and_then(|of| target.seen.get(of, all)) {
        return Ok(found);
    }
    let found = Arc::new(introspect::resolve(connection, resource, all, Some(tenant)).await?);
    if let Some(of) = of {
        target.seen.put(of, all, &found);
    }
    Ok(found)
}

/// Nothing where dry runs read another file than flushes write.
async fn as_of_file(connection: &mut Connection, target: &Target) -> Result<Option<AsOf>> {
    if target.read_url.is_some() {
        return Ok(None);
    }
    let schema = connection.one("PRAGMA main.schema_version", vec![]).await?.integer();
    Ok(file_id(target).zip(schema).map(|(file, schema)| AsOf::File(file, schema)))
}

impl Seen {
    fn get(&self, of: &Of, bindings: &BTreeMap<String, Resource>) -> Option<Arc<Resolved>> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.bindings != *bindings {
            return None;
        }
        tables.found.get(of).cloned()
    }

    fn put(&self, of: Of, bindings: &BTreeMap<String, Resource>, resolved: &Arc<Resolved>) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.bindings != *bindings || tables.found.len() >= TABLES_MAX {
            *tables = Tables { bindings: bindings.clone(), found: BTreeMap::new() };
        }
        tables.found.insert(of, Arc::clone(resolved));
    }
}
