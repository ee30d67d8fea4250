//! From the file as it is written to the types that everybody uses. Nothing is decided here that
//! [`check`](super::check) has not looked at.

use std::collections::BTreeMap;
use std::path::Path;

use mendwright_catalog::budget::Limits;
use mendwright_catalog::diagnostic::Diagnostic;
use mendwright_catalog::document::Step;
use mendwright_core::authority::{Allow, Grant};
use mendwright_core::binding::{Column, Resource, Tenancy};
use mendwright_core::budget::Budget;
use mendwright_core::code::Code;
use mendwright_store::Concurrency;

use crate::config::check::Checker;
use crate::config::model::{
    Anchor, Audit, Config, Control, Database, GrantConfig, Jobs, Journal, TenantSet, Tenants, Witness,
};
use crate::config::{authority, schedule, wire};

/// The configuration, if all of it is there. What is not, the checker has reported or reports now.
pub(super) fn config(checker: &mut Checker<'_>, file: wire::File, path: &Path, base: &Path) -> Option<Config> {
    let limits = budget(checker, file.limits.as_ref().map(|caps| &caps.job), &["limits".into()]);
    let concurrency = file.limits.map(|caps| caps.concurrency).unwrap_or_default();
    let default = Concurrency::default();
    let control = checker.url(&file.control?.url, &["control".into(), "url".into()]);
    let mut databases = BTreeMap::new();
    for (name, wire) in file.database.unwrap_or_default() {
        let database = database(checker, &name, wire?)?;
        databases.insert(name, database);
    }
    let mut resources = BTreeMap::new();
    for (name, wire) in file.resource.unwrap_or_default() {
        resources.insert(name.clone(), resource(name, wire?)?);
    }
    let mut grants = Vec::new();
    for (name, wire) in file.grant.unwrap_or_default() {
        grants.push(grant(checker, name, wire?)?);
    }
    let tenants = file.tenants.unwrap_or_default();
    let policy = authority::policy(checker, file.policy, base);
    let schedules = schedule::all(checker, file.schedule.unwrap_or_default())?;
    let people = authority::people(checker, file.people);
    Some(Config {
        path: path.to_owned(),
        version: file.version?,
        environment: file.environment?,
        control: Control { url: control? },
        jobs: file.jobs.map(|jobs| Jobs { path: base.join(jobs.path) }),
        databases,
        tenants: Tenants { discover: tenants.discover, exclude: tenants.exclude },
        resources,
        grants,
        limits,
        policy,
        people,
        audit: file.audit.map_or_else(Audit::default, |wire| audit(wire, base)),
        concurrency: Concurrency {
            overall: concurrency.overall.unwrap_or(default.overall),
            per_tenant: concurrency.per_tenant.unwrap_or(default.per_tenant),
        },
        schedules,
        socket: file.host.and_then(|host| host.socket).map(|socket| base.join(socket)),
    })
}

/// The shape has refused every place, address and key that is none.
fn audit(wire: wire::Audit, base: &Path) -> Audit {
    let place = |place: &String| match place.strip_prefix("file:") {
        Some(path) => Some(Anchor::File(base.join(path))),
        None => place.parse().ok().map(Anchor::Web),
    };
    let witness = |witness: &wire::Witness| {
        let url = format!("{}/add-checkpoint", witness.url.trim_end_matches('/'));
        Some(Anchor::Witness(Box::new(Witness { url: url.parse().ok()?, key: witness.key.parse().ok()? })))
    };
    Audit {
        origin: wire.origin,
        anchors: wire.anchor.iter().filter_map(place).chain(wire.witness.iter().filter_map(witness)).collect(),
        every: wire.every.map_or(Audit::EVERY, |every| every.0),
    }
}

fn budget(checker: &mut Checker<'_>, limits: Option<&Limits>, path: &[Step<'_>]) -> Budget {
    match limits.map(Limits::budget) {
        None => Budget::default(),
        Some(Ok(budget)) => budget,
        Some(Err(why)) => {
            let mut path = path.to_vec();
            path.push("share_changed".into());
            let place = checker.value(&path);
            let found = Diagnostic::new(Code::ConfigValue, "`share_changed` takes a share from 0 to 1").at(place);
            checker.report.push(found.label(why));
            Budget::default()
        }
    }
}

fn database(checker: &mut Checker<'_>, name: &str, wire: wire::Database) -> Option<Database> {
    let at = |key: &'static str| [Step::Key("database"), name.into(), key.into()];
    let url = checker.url(&wire.url, &at("url"))?;
    let read_url = match &wire.read_url {
        Some(read) => Some(checker.url(read, &at("read_url"))?),
        None => None,
    };
    let journal = wire.journal.map_or_else(Journal::default, |journal| Journal {
        schema: journal.schema.unwrap_or_else(|| Journal::SCHEMA.to_owned()),
        keep: journal.keep.map_or(Journal::KEEP, |keep| keep.0),
    });
    let milliseconds = wire.dry_run_lock_ms_max.map(std::time::Duration::from_millis);
    Some(Database {
        name: name.to_owned(),
        url,
        read_url,
        lock_timeout: wire.lock_timeout.map_or(Database::LOCK_TIMEOUT, |timeout| timeout.0),
        statement_timeout: wire.statement_timeout.map_or(Database::STATEMENT_TIMEOUT, |timeout| timeout.0),
        dry_run_lock_max: milliseconds.unwrap_or(Database::DRY_RUN_LOCK_MAX),
        journal,
    })
}

fn resource(name: String, wire: wire::Resource) -> Option<Resource> {
    let wire::Adapter::Sql = wire.adapter;
    let columns = wire.columns.into_iter().map(|(name, column)| Some((name, self::column(column?))));
    Some(Resource {
        name,
        database: wire.database,
        schema: wire.schema,
        table: wire.table,
        key: wire.key,
        tenancy: tenancy(wire.tenant)?,
        class: wire.class,
        module: wire.module,
        columns: columns.collect::<Option<_>>()?,
        triggers: whole(wire.triggers)?,
        cascades: wire.cascades.into_iter().collect(),
        stable_reads: wire.stable_reads,
        guest_keys: wire.guest_keys,
    })
}

fn tenancy(tenant: wire::Tenant) -> Option<Tenancy> {
    Some(match tenant {
        wire::Tenant::Shared(wire::Shared::Shared) => Tenancy::Shared,
        wire::Tenant::Column { column } => Tenancy::Column(column),
        wire::Tenant::Through { through, on } => Tenancy::Through { resource: through, on: whole(on)? },
        wire::Tenant::Schema { schema } => Tenancy::Schema(schema),
        wire::Tenant::Database { database } => Tenancy::Database(database),
    })
}

fn column(column: wire::Column) -> Column {
    match column {
        wire::Column::Named(column) => Column { column, ..Column::default() },
        wire::Column::Described { column, kind, currency, class, sensitive, derived } => {
            Column { column, kind, currency, class, sensitive, derived }
        }
    }
}

fn grant(checker: &mut Checker<'_>, name: String, wire: wire::Grant) -> Option<GrantConfig> {
    let limits = budget(checker, wire.limits.as_ref(), &["grant".into(), (&name).into(), "limits".into()]);
    let allow = wire.allow.into_iter().map(|(resource, allow)| {
        let wire::Allow { read, write, operations } = allow?;
        let (read, write) = (read.into_iter().collect(), write.into_iter().collect());
        Some((resource, Allow { read, write, operations }))
    });
    let tenants = match wire.tenants {
        wire::TenantSet::All(wire::All::All) => TenantSet::All,
        wire::TenantSet::Named(names) => TenantSet::Named(names.into_iter().collect()),
    };
    Some(GrantConfig {
        job: wire.job.name,
        versions: wire.job.versions,
        tenants,
        grant: Grant { name: name.clone(), bind: whole(wire.bind)?, allow: allow.collect::<Option<_>>()? },
        limits,
        name,
    })
}

/// A map, if none of its entries was wrong.
fn whole(map: BTreeMap<String, Option<String>>) -> Option<BTreeMap<String, String>> {
    map.into_iter().map(|(key, value)| Some((key, value?))).collect()
}
