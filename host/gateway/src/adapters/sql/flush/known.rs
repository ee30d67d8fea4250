//! SQLite: what was found of the tables, as long as nobody has changed the file's schema since. Looking
//! at a table costs a small flush more than everything else in it.

use std::collections::BTreeMap;

use mendwright_core::binding::Resource;
use mendwright_core::plan::header::Digest;

use super::super::connection::Connection;
use super::super::introspect;
use super::Flush;
use crate::error::Result;

/// Tables of tenants that are remembered.
const TABLES_MAX: usize = 1_000;

/// What one connection found.
#[derive(Default)]
pub(super) struct Known {
    /// The file's own count of changes of its schema.
    schema: Option<i64>,
    /// How the tables were bound.
    bindings: BTreeMap<String, Resource>,
    /// Resource and tenant → what it came to.
    tables: BTreeMap<(String, String), Digest>,
}

impl Known {
    /// Inside a transaction: forgets everything if the schema or the configuration is another one.
    pub(super) async fn refresh(&mut self, connection: &mut Connection, flush: &Flush<'_>) -> Result<()> {
        let schema = connection.one("PRAGMA main.schema_version", vec![]).await?.integer();
        if schema.is_none() || self.schema != schema || self.bindings != *flush.bindings {
            *self = Self { schema, bindings: flush.bindings.clone(), tables: BTreeMap::new() };
        }
        Ok(())
    }

    /// What a resource is for the flush's tenant now.
    pub(super) async fn digest(
        &mut self,
        connection: &mut Connection,
        flush: &Flush<'_>,
        resource: &Resource,
    ) -> Result<Digest> {
        let key = (resource.name.clone(), flush.tenant.to_owned());
        if let Some(found) = self.tables.get(&key) {
            return Ok(*found);
        }
        let digest = look(connection, flush, resource).await?;
        if self.tables.len() >= TABLES_MAX {
            self.tables.clear();
        }
        self.tables.insert(key, digest);
        Ok(digest)
    }
}

/// The same without remembering it.
pub(super) async fn look(connection: &mut Connection, flush: &Flush<'_>, resource: &Resource) -> Result<Digest> {
    let found = introspect::resolve(connection, resource, flush.bindings, Some(flush.tenant)).await?;
    Ok(Digest::of_json(&found))
}
