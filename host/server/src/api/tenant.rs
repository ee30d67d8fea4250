//! Whose data there is.

use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantBody {
    /// Its name, as the database holds it.
    pub tenant: String,
    /// Its place among the 10,000 parts of all tenants: the lowest come first in a canary.
    pub canary_part: u64,
    /// The jobs that some grant lets touch its data.
    pub jobs: Vec<String>,
    /// Whether the configuration excludes it, whatever a grant says.
    pub excluded: bool,
}

/// `GET /tenants`, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantsBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The resource whose tenants these are.
    pub discovered_in: String,
    /// The tenants.
    pub tenants: Vec<TenantBody>,
    /// Whether there are more, which nobody listed.
    pub more: bool,
}

impl TenantsBody {
    /// A list.
    #[must_use]
    pub fn new(discovered_in: &str, tenants: Vec<TenantBody>, more: bool) -> Self {
        let (format_version, discovered_in) = (FORMAT_VERSION.to_owned(), discovered_in.to_owned());
        Self { format_version, discovered_in, tenants, more }
    }
}
