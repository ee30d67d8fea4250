//! SQLite: what a table came to for a tenant, as long as the file and its schema are the same and so is the
//! configuration. Looking at a table costs a small dry run more than everything else in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mendwright_core::binding::{Resolved, Resource};

use crate::adapters::sql::connection::Connection;
use crate::adapters::sql::engine::Engine;
use crate::adapters::sql::flush::shared::{FileId, file_id};
use crate::error::Result;
use crate::target::Target;

/// Tables of tenants that are remembered.
const TABLES_MAX: usize = 1_000;

/// What was found; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    as_of: Option<AsOf>,
    bindings: BTreeMap<String, Resource>,
    /// Resource and tenant → what it came to.
    found: BTreeMap<(String, String), Arc<Resolved>>,
}

/// A file, and its own count of changes of its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    pub(crate) file: FileId,
    pub(crate) schema: i64,
}

/// What a connection reads now; `None` on PostgreSQL, and where dry runs read another file than flushes write.
pub(crate) async fn as_of(connection: &mut Connection, target: &Target) -> Result<Option<AsOf>> {
    if connection.engine() == Engine::Postgres || target.read_url.is_some() {
        return Ok(None);
    }
    let schema = connection.one("PRAGMA main.schema_version", vec![]).await?.integer();
    Ok(file_id(target).zip(schema).map(|(file, schema)| AsOf { file, schema }))
}

impl Seen {
    /// What a resource is for a tenant in this state.
    pub(crate) fn get(
        &self,
        as_of: AsOf,
        bindings: &BTreeMap<String, Resource>,
        (resource, tenant): (&str, &str),
    ) -> Option<Arc<Resolved>> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.as_of != Some(as_of) || tables.bindings != *bindings {
            return None;
        }
        tables.found.get(&(resource.to_owned(), tenant.to_owned())).cloned()
    }

    pub(crate) fn put(
        &self,
        as_of: AsOf,
        bindings: &BTreeMap<String, Resource>,
        (resource, tenant): (&str, &str),
        resolved: &Arc<Resolved>,
    ) {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.as_of != Some(as_of) || tables.bindings != *bindings || tables.found.len() >= TABLES_MAX {
            *tables = Tables { as_of: Some(as_of), bindings: bindings.clone(), found: BTreeMap::new() };
        }
        tables.found.insert((resource.to_owned(), tenant.to_owned()), Arc::clone(resolved));
    }
}
