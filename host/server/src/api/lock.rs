//! Who holds a target's locks, and who waits for them.

use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;

/// A lock of a target that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBody {
    /// The database.
    pub database: String,
    /// Whose rows.
    pub tenant: String,
    /// The physical table; absent where only the control store says so: then it is every table of the plan.
    pub table: Option<String>,
    /// The run that holds it; absent where the control store knows none of that id.
    pub number: Option<u64>,
    /// The run's id.
    pub run: String,
    /// Which claim of it.
    pub attempt: u64,
    /// Since when.
    pub since: String,
    /// Whether whoever took it is still there. Where not, the next run takes it over.
    pub is_alive: bool,
}

/// A run that waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingBody {
    /// The database.
    pub database: String,
    /// Whose rows; absent where the control store knows no such run.
    pub tenant: Option<String>,
    /// The run.
    pub number: Option<u64>,
    /// The run's id.
    pub run: String,
    /// Since when.
    pub since: String,
    /// Where: `target`, in the database itself; `host`, for a worker to take it up.
    pub r#where: String,
}

/// A database that did not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownBody {
    /// The database.
    pub database: String,
    /// Why not.
    pub why: String,
}

/// `GET /locks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocksBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// By database, tenant and table.
    pub held: Vec<HeldBody>,
    /// Who came first stands first.
    pub waiting: Vec<WaitingBody>,
    /// Databases that could not be asked.
    pub unknown: Vec<UnknownBody>,
}

impl LocksBody {
    /// A list.
    #[must_use]
    pub fn new(held: Vec<HeldBody>, waiting: Vec<WaitingBody>, unknown: Vec<UnknownBody>) -> Self {
        Self { format_version: FORMAT_VERSION.to_owned(), held, waiting, unknown }
    }
}
