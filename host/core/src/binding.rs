//! Where a row lives: the operator's logical names and the physical ones behind them.
//!
//! [`Resource`] is what the operator wrote. [`Resolved`] is that with everything the database said of
//! the table: it is what plans bind, so a binding edited or a table altered after an approval shows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::class::Class;
use crate::kind::Kind;

/// Which rows are a tenant's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tenancy {
    /// This logical column holds the tenant's name.
    Column(String),
    /// Each tenant has a schema of its own; `{tenant}` in the pattern stands for the tenant's name.
    Schema(String),
    /// The whole database is this one tenant's.
    Database(String),
    /// A row belongs to the tenant of its parent row.
    Through {
        /// The resource that holds the parents.
        resource: String,
        /// Own logical column → the parent's logical column.
        on: BTreeMap<String, String>,
    },
    /// Nobody's and everybody's: reference data that jobs may read and never write.
    Shared,
}

/// One column, as the operator bound it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// What the database calls it.
    pub column: String,
    /// What it holds; from the database where absent.
    pub kind: Option<Kind>,
    /// ISO 4217 code; the column is then money.
    pub currency: Option<String>,
    /// How delicate it is; the resource's class where absent.
    pub class: Option<Class>,
    /// Masked wherever a person or a log would see it.
    pub sensitive: bool,
    /// What in the database sets it by itself (`trigger invoice_touch`, `generated`): it may differ
    /// from the plan after a write.
    pub derived: Option<String>,
}

/// One `[resource.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The logical name.
    pub name: String,
    /// Which `[database.NAME]`.
    pub database: String,
    /// The schema in PostgreSQL; the connection's own where absent. Not used with tenancy by schema.
    pub schema: Option<String>,
    /// What the database calls the table.
    pub table: String,
    /// Logical names of the key columns.
    pub key: Vec<String>,
    /// Which rows are a tenant's.
    pub tenancy: Tenancy,
    /// How delicate it is.
    pub class: Class,
    /// The part of the tenant's system it belongs to.
    pub module: Option<String>,
    /// Logical name → column.
    pub columns: BTreeMap<String, Column>,
    /// Triggers and rules that the operator knows of → what they do. An undeclared one refuses writes.
    pub triggers: BTreeMap<String, String>,
    /// Resources whose rows a delete here takes along; they become planned changes.
    pub cascades: BTreeSet<String>,
    /// Whether rows read and not written must still be the same when the plan is applied; by class
    /// where absent.
    pub stable_reads: Option<bool>,
    /// Whether a job may choose the key of a row it inserts although a sequence would.
    pub guest_keys: bool,
}

/// One column with what the database said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedColumn {
    /// What the database calls it.
    pub column: String,
    /// What it holds.
    pub kind: Kind,
    /// The database's own name of its type, for casts and for people: `numeric(10,2)`, `NVARCHAR(40)`.
    pub declared: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether a row can be inserted without it and gets the same value each time.
    pub has_constant_default: bool,
    /// Whether the database computes it from other columns: never writable, nor journaled.
    pub generated: bool,
    /// Whether the database's own `=` holds exactly where the stored values are the same. Not so with
    /// `NOCASE`, `citext`, `character(n)`, a nondeterministic collation, or doubles (−0 equals 0).
    pub exact: bool,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// How delicate it is.
    pub class: Class,
    /// Masked wherever a person or a log would see it.
    pub sensitive: bool,
    /// What sets it by itself.
    pub derived: Option<String>,
}

/// One step from a row to the row that says whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStep {
    /// The parent's resource.
    pub resource: String,
    /// The parent's schema, where the engine has them.
    pub schema: Option<String>,
    /// The parent's physical table.
    pub table: String,
    /// Own physical column → the parent's physical column.
    pub on: Vec<(String, String)>,
}

/// How a row's tenant is found, in physical names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantPath {
    /// From the table upwards; empty where the table itself has the tenant's column.
    pub steps: Vec<PathStep>,
    /// The physical column, in the last table of the path, that holds the tenant; absent with tenancy
    /// by schema or database and for shared tables.
    pub column: Option<String>,
    /// What that column holds; a tenant's name is compared as a value of this kind.
    pub kind: Option<Kind>,
    /// The database's own name of that column's type.
    pub declared: Option<String>,
    /// For tenancy by database: the one tenant.
    pub only: Option<String>,
    /// Whether this is reference data of nobody's.
    pub shared: bool,
}

/// Something that the database does by itself when rows of this table change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideEffect {
    /// `trigger`, `rule`, `cascade`, `generated`, `default`, `identity` or `view`.
    pub what: String,
    /// Its name in the database.
    pub name: String,
    /// What it does, from the database's own definition, shortened.
    pub definition: String,
    /// What the operator says of it; absent where it is not declared.
    pub declared: Option<String>,
    /// Whether an undeclared one stops writes (a generated column does not).
    pub blocks_writes: bool,
}

/// A resource with everything the database said of its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The logical name.
    pub name: String,
    /// Which `[database.NAME]`.
    pub database: String,
    /// The physical schema for this tenant, where the engine has them.
    pub schema: Option<String>,
    /// The physical table.
    pub table: String,
    /// Logical names of the key columns, in key order.
    pub key: Vec<String>,
    /// How a row's tenant is found.
    pub tenant: TenantPath,
    /// How delicate it is.
    pub class: Class,
    /// The part of the tenant's system it belongs to.
    pub module: Option<String>,
    /// Logical name → column.
    pub columns: BTreeMap<String, ResolvedColumn>,
    /// Physical columns that are not bound, in the table's order: no job sees them, but a write must
    /// leave them as they were.
    pub unbound: Vec<UnboundColumn>,
    /// Logical columns that decide whose a row is: never writable.
    pub fixed: BTreeSet<String>,
    /// What the database does by itself.
    pub side_effects: Vec<SideEffect>,
    /// Foreign keys out of this table, in physical names.
    pub foreign_keys: Vec<ForeignKey>,
    /// Foreign keys of other tables (or of this one) that point here, in physical names.
    pub referenced_by: Vec<Reference>,
    /// What the database keeps unique, the key's own index included, in physical names.
    pub unique: Vec<Unique>,
    /// Whether a sequence (serial, identity, AUTOINCREMENT) makes the key.
    pub sequence_key: bool,
    /// Resources whose rows a delete here takes along.
    pub cascades: BTreeSet<String>,
    /// Whether rows read and not written must still be the same at apply.
    pub stable_reads: bool,
    /// Whether a job may choose keys that a sequence would.
    pub guest_keys: bool,
    /// Why nothing may be written here, if so: each with its code.
    pub write_refusals: Vec<(String, String)>,
    /// Why no row may be deleted here, if so, beside what `write_refusals` says.
    pub delete_refusals: Vec<(String, String)>,
}

/// A physical column that no job sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnboundColumn {
    /// What the database calls it.
    pub column: String,
    /// The database's own name of its type.
    pub declared: String,
    /// Whether the database computes it.
    pub generated: bool,
    /// Whether a row can be inserted without it and gets the same value each time.
    pub has_constant_default: bool,
}

/// A foreign key, in physical names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Own columns.
    pub columns: Vec<String>,
    /// The schema referred to, where the engine has them.
    pub schema: Option<String>,
    /// The table referred to.
    pub table: String,
    /// The columns referred to.
    pub references: Vec<String>,
    /// Whether it can be checked at COMMIT.
    pub deferrable: bool,
}

/// A foreign key that points at this table, in physical names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The resource that binds the referring table, if exactly one does.
    pub resource: Option<String>,
    /// The referring table's schema, where the engine has them.
    pub schema: Option<String>,
    /// The referring table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The columns of this table that they refer to.
    pub references: Vec<String>,
    /// `NO ACTION`, `RESTRICT`, `CASCADE`, `SET NULL` or `SET DEFAULT`.
    pub on_delete: String,
    /// The same, for a change of the columns referred to.
    pub on_update: String,
    /// Whether it can be checked at COMMIT.
    pub deferrable: bool,
}

/// Columns whose values the database keeps unique together, in physical names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// Its name in the database; empty where it has none.
    pub name: String,
    /// The columns; empty where it is over an expression.
    pub columns: Vec<String>,
    /// Whether it can be checked at COMMIT, so that a plan may swap values.
    pub deferrable: bool,
    /// Whether it holds for a part of the rows only.
    pub partial: bool,
}

impl Resolved {
    /// The column with this logical name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ResolvedColumn> {
        self.columns.get(name)
    }

    /// The key's columns, in key order.
    pub fn key_columns(&self) -> impl Iterator<Item = (&str, &ResolvedColumn)> {
        self.key.iter().filter_map(|name| self.columns.get(name).map(|column| (name.as_str(), column)))
    }

    /// Whether no job may ever write this column: key, tenant, path, generated or derived.
    #[must_use]
    pub fn is_fixed(&self, name: &str) -> bool {
        self.fixed.contains(name)
            || self.key.iter().any(|k| k == name)
            || self.columns.get(name).is_some_and(|c| c.generated || c.derived.is_some())
    }
}
