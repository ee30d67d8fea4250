//! `mendwright.toml` as it is written. The doc comments are what editors show.
//!
//! Entries are optional where a wrong one is reported and the others are still looked at.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use mendwright_catalog::budget::Limits;
use mendwright_catalog::words::{self, Duration, JobVersions};
use mendwright_core::change::Action;
use mendwright_core::class::Class;
use mendwright_core::kind::Kind;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;

/// What Mendwright works on, and who may do what there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["version", "environment", "control"]))]
pub(super) struct File {
    /// The version of this file's form.
    #[schemars(extend("const" = 1))]
    pub(super) version: Option<u64>,
    /// Printed on every plan. In "production" unsigned jobs are refused.
    #[schemars(length(min = 1))]
    pub(super) environment: Option<String>,
    /// Mendwright's own store: runs, plans, approvals, audit.
    pub(super) control: Option<Control>,
    /// Jobs that were built here and are not signed.
    pub(super) jobs: Option<Jobs>,
    /// The databases that may be repaired.
    #[schemars(with = "Option<BTreeMap<String, Database>>", transform = words::keyed_by_label)]
    pub(super) database: Option<BTreeMap<String, Option<Database>>>,
    /// Whose data there is.
    pub(super) tenants: Option<Tenants>,
    /// The tables that jobs may know of, by the names that jobs use.
    #[schemars(with = "Option<BTreeMap<String, Resource>>", transform = words::keyed_by_name)]
    pub(super) resource: Option<BTreeMap<String, Option<Resource>>>,
    /// Which job may touch what, for which tenants.
    #[schemars(with = "Option<BTreeMap<String, Grant>>", transform = words::keyed_by_label)]
    pub(super) grant: Option<BTreeMap<String, Option<Grant>>>,
    /// Caps on every job's own budget, and on how many runs are worked on at a time.
    pub(super) limits: Option<Caps>,
    /// The process that `mendwright serve` starts.
    pub(super) host: Option<Host>,
    /// What may happen by itself, and what takes people.
    pub(super) policy: Option<super::authority::Policy>,
    /// Who is who.
    pub(super) people: Option<super::authority::People>,
    /// What is planned by the clock.
    #[schemars(with = "Option<BTreeMap<String, super::schedule::Wire>>", transform = words::keyed_by_label)]
    pub(super) schedule: Option<BTreeMap<String, Option<super::schedule::Wire>>>,
    /// The audit log: its name, and where what it signs is kept as well.
    pub(super) audit: Option<Audit>,
}

/// Caps on every job's own budget, and on how many runs are worked on at a time.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Caps {
    #[serde(default)]
    pub(super) concurrency: Concurrency,
    #[serde(flatten)]
    pub(super) job: Limits,
}

/// The keys of [`Limits`], and one more.
impl JsonSchema for Caps {
    fn schema_name() -> Cow<'static, str> {
        "Caps".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Limits::json_schema(generator);
        let concurrency = generator.subschema_for::<Concurrency>();
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("concurrency".to_owned(), concurrency.to_value());
        }
        schema
    }
}

/// Runs that are worked on at a time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Concurrency {
    /// By all hosts together.
    #[schemars(range(min = 1, max = 10_000))]
    pub(super) overall: Option<u32>,
    /// For one tenant.
    #[schemars(range(min = 1, max = 10_000))]
    pub(super) per_tenant: Option<u32>,
}

/// The process that `mendwright serve` starts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    /// The UNIX socket that it listens on, from this file's own directory.
    #[schemars(length(min = 1))]
    pub(super) socket: Option<String>,
}

/// The audit log.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    /// The log's name, which its checkpoints carry; from the host's key where absent.
    #[schemars(with = "Option<words::LogOrigin>")]
    pub(super) origin: Option<String>,
    /// Where each checkpoint goes as well, and no host can rewrite it: "file:PATH", or "https://…", which takes it
    /// by POST.
    #[serde(default)]
    #[schemars(with = "Vec<words::Anchor>")]
    pub(super) anchor: Vec<String>,
    /// Who countersigns each checkpoint, after a look at what was added (C2SP tlog-witness).
    #[serde(default)]
    pub(super) witness: Vec<Witness>,
    /// How long an entry may wait for a checkpoint.
    pub(super) every: Option<Duration>,
}

/// Somebody else who looks whether the log only grows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Witness {
    /// Its submission prefix, without `/add-checkpoint`.
    #[schemars(with = "words::WebAddress")]
    pub(super) url: String,
    /// Its key, as it publishes it.
    #[schemars(with = "words::WitnessKeyText")]
    pub(super) key: String,
}

/// Mendwright's own store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Control {
    /// "sqlite:PATH", or { env = "NAME" } for PostgreSQL.
    pub(super) url: Url,
}

/// A URL, or the environment variable that holds it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
#[schemars(extend("x-takes" = "\"sqlite:PATH\" or { env = \"NAME\" }"))]
pub(super) enum Url {
    Literal(#[schemars(length(min = 1))] String),
    Env {
        /// The environment variable that holds the URL.
        #[schemars(length(min = 1))]
        env: String,
    },
}

/// Where jobs lie.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Jobs {
    /// The directory, from this file's own.
    #[schemars(length(min = 1))]
    pub(super) path: String,
}

/// A database that may be repaired.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Database {
    /// "sqlite:PATH", or { env = "NAME" } for PostgreSQL.
    pub(super) url: Url,
    /// The same database as a role that cannot write: dry runs use it. PostgreSQL only.
    pub(super) read_url: Option<Url>,
    /// How long to wait for a lock that the application holds.
    pub(super) lock_timeout: Option<Duration>,
    /// How long one statement may take.
    pub(super) statement_timeout: Option<Duration>,
    /// Milliseconds that a dry run may make the application wait.
    #[schemars(range(min = 1, max = 60_000))]
    pub(super) dry_run_lock_ms_max: Option<u64>,
    /// Where and how long it is kept how to undo.
    pub(super) journal: Option<Journal>,
}

/// The journal of a target database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    /// The schema of Mendwright's own tables. PostgreSQL only.
    #[schemars(length(min = 1))]
    pub(super) schema: Option<String>,
    /// How long a run can be undone.
    pub(super) keep: Option<Duration>,
}

/// Whose data there is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tenants {
    /// The resource whose distinct tenants are all there are.
    pub(super) discover: Option<String>,
    /// Tenants that are never touched, whatever a grant says.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) exclude: BTreeSet<String>,
}

/// A table that jobs may know of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    /// What kind of system it is in.
    pub(super) adapter: Adapter,
    /// Which [database.NAME].
    pub(super) database: String,
    /// The schema in PostgreSQL; the connection's own where absent.
    #[schemars(length(min = 1))]
    pub(super) schema: Option<String>,
    /// What the database calls the table.
    #[schemars(length(min = 1))]
    pub(super) table: String,
    /// The key's columns, by their logical names.
    #[schemars(length(min = 1))]
    pub(super) key: Vec<String>,
    /// Which rows are a tenant's.
    pub(super) tenant: Tenant,
    /// How delicate it is.
    #[serde(default)]
    #[schemars(with = "Option<words::Class>")]
    pub(super) class: Class,
    /// The part of the tenant's system it belongs to.
    #[schemars(length(min = 1))]
    pub(super) module: Option<String>,
    /// Its columns, by the names that jobs use. One that is not listed does not exist for any job.
    #[schemars(with = "BTreeMap<String, Column>", transform = words::keyed_by_name)]
    pub(super) columns: BTreeMap<String, Option<Column>>,
    /// Triggers and rules that are known, and what each does.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) triggers: BTreeMap<String, Option<String>>,
    /// Resources whose rows a delete here takes along.
    #[serde(default)]
    pub(super) cascades: Vec<String>,
    /// Whether rows that are read and not written must be the same when the plan is applied. Yes for
    /// ledger, payment and tax where absent.
    pub(super) stable_reads: Option<bool>,
    /// Whether jobs may choose keys that a sequence would.
    #[serde(default)]
    pub(super) guest_keys: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Adapter {
    Sql,
}

/// Which rows are a tenant's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
#[schemars(extend("x-takes" =
    "{ column = … }, { through = …, on = … }, { schema = … }, { database = … } or \"shared\""))]
pub(super) enum Tenant {
    Shared(Shared),
    Column {
        /// The logical column that holds the tenant.
        column: String,
    },
    Through {
        /// The resource that holds the parent rows.
        through: String,
        /// Own column = the parent's column.
        #[schemars(with = "BTreeMap<String, String>")]
        on: BTreeMap<String, Option<String>>,
    },
    Schema {
        /// The schema of each tenant; {tenant} stands for the tenant.
        #[schemars(with = "words::TenantSchema")]
        schema: String,
    },
    Database {
        /// The one tenant whose database this is.
        #[schemars(length(min = 1))]
        database: String,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shared {
    Shared,
}

/// A column: what the database calls it, or that and more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
#[schemars(extend("x-takes" = "the column's name, or { column = … }"))]
pub(super) enum Column {
    Named(#[schemars(length(min = 1))] String),
    Described {
        /// What the database calls it.
        #[schemars(length(min = 1))]
        column: String,
        /// What it holds; from the database where absent.
        #[serde(rename = "type")]
        #[schemars(with = "Option<words::ColumnType>")]
        kind: Option<Kind>,
        /// ISO 4217 code: the column is money.
        #[schemars(with = "Option<words::Currency>")]
        currency: Option<String>,
        /// How delicate it is; the resource's class where absent.
        #[schemars(with = "Option<words::Class>")]
        class: Option<Class>,
        /// Masked wherever a person or a log would see it.
        #[serde(default)]
        sensitive: bool,
        /// What in the database sets it by itself.
        #[schemars(length(min = 1))]
        derived: Option<String>,
    },
}

impl Column {
    /// What the database calls it.
    pub(super) fn physical(&self) -> &str {
        match self {
            Self::Named(column) | Self::Described { column, .. } => column,
        }
    }
}

/// Leave for one job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    /// The job, and which versions of it: "reconcile_invoices@^1".
    pub(super) job: JobVersions,
    /// For which tenants.
    pub(super) tenants: TenantSet,
    /// The job's name of a table = the resource's, where they differ.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", transform = words::keyed_by_name)]
    pub(super) bind: BTreeMap<String, Option<String>>,
    /// What is allowed on each resource.
    #[schemars(with = "BTreeMap<String, Allow>")]
    pub(super) allow: BTreeMap<String, Option<Allow>>,
    /// Caps on the job's own budget.
    pub(super) limits: Option<Limits>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("x-takes" = "a list of tenants, or \"*\" for all"))]
pub(super) enum TenantSet {
    All(All),
    Named(#[schemars(length(min = 1))] Vec<String>),
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) enum All {
    #[serde(rename = "*")]
    All,
}

/// What is allowed on one resource.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Allow {
    /// Columns that may be read.
    #[serde(default)]
    pub(super) read: Vec<String>,
    /// Columns that may be written.
    #[serde(default)]
    pub(super) write: Vec<String>,
    /// What may be done to rows.
    #[serde(default)]
    #[schemars(with = "Vec<words::Action>")]
    pub(super) operations: BTreeSet<Action>,
}
