//! `mendwright resource check [NAME…]`: the bindings as the databases answer them.

use std::collections::BTreeMap;

use mendwright_core::binding::{Resolved, Resource};
use mendwright_core::code::Code;
use mendwright_core::text::escape;
use mendwright_gateway::adapters::sql::report::{ResourceReport, check_resource, tenants};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::{Done, problem};
use crate::config::Config;
use crate::engine;
use crate::view::problem::{Exit, Problem};
use crate::view::resource::{ResourceCheck, resource_check};
use crate::view::{Next, json};

/// Tenants that are named; the rest is counted.
const TENANTS_SHOWN: usize = 12;

/// Is a binding right about its database?
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which [resource.NAME]; all where none is named.
    names: Vec<String>,
    /// Count this tenant's rows.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
}

#[derive(Serialize)]
struct Checked<'a> {
    format_version: &'static str,
    engine: &'a str,
    path: &'a str,
    rows: Option<u64>,
    orphans: u64,
    unreadable: &'a BTreeMap<String, u64>,
    #[serde(flatten)]
    facts: Facts<'a>,
}

#[derive(Serialize)]
struct Facts<'a> {
    resource: &'a str,
    database: &'a str,
    schema: Option<&'a str>,
    table: &'a str,
    class: &'static str,
    key: &'a [String],
    columns: BTreeMap<&'a str, ColumnFacts<'a>>,
    side_effects: Vec<EffectFacts<'a>>,
    write_refusals: &'a [(String, String)],
    delete_refusals: &'a [(String, String)],
}

#[derive(Serialize)]
struct ColumnFacts<'a> {
    column: &'a str,
    kind: String,
    declared: &'a str,
    nullable: bool,
    class: &'static str,
    sensitive: bool,
    generated: bool,
    derived: Option<&'a str>,
}

#[derive(Serialize)]
struct EffectFacts<'a> {
    what: &'a str,
    name: &'a str,
    declared: Option<&'a str>,
    blocks_writes: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let names: Vec<&str> = if args.names.is_empty() {
        config.resources.keys().map(String::as_str).collect()
    } else {
        args.names.iter().map(String::as_str).collect()
    };
    let mut last: Option<Problem> = None;
    for name in names {
        let resource = config.resource(name).map_err(problem::diagnostic)?;
        let failed = match check(context, &config, resource, args.tenant.as_deref()).await {
            Ok(report) => {
                show(context, &config, &report, args.tenant.as_deref())?;
                refused_although_granted(&config, &report.resolved)
            }
            Err(problem) => Some(problem),
        };
        // The others are looked at all the same; the last error decides how the command ends.
        if let Some(before) = last.take() {
            context.out.problem(&before);
        }
        last = failed;
    }
    if let (None, Some(discover)) = (&args.tenant, &config.tenants.discover)
        && (args.names.is_empty() || args.names.contains(discover))
    {
        list_tenants(context, &config, discover).await?;
    }
    last.map_or(Ok(Exit::Done), Err)
}

async fn check(
    context: &Context,
    config: &Config,
    resource: &Resource,
    tenant: Option<&str>,
) -> Result<ResourceReport, Problem> {
    let target = engine::target(config, &context.env, &resource.database)?;
    let _progress = Progress::begin(&context.out, format!("asking {} about {}", resource.database, resource.name));
    let found = check_resource(&target, resource, &config.resources, tenant).await;
    found.map_err(|error| {
        let mut problem = problem::gateway(&error);
        problem.message = format!("{}: {}", resource.name, problem.message);
        problem
    })
}

fn show(context: &Context, config: &Config, report: &ResourceReport, tenant: Option<&str>) -> Result<(), Problem> {
    let resolved = &report.resolved;
    let target = engine::target(config, &context.env, &resolved.database)?;
    if context.out.is_json() {
        context.out.result(&format!("{}\n", json::harmless(&record(report, target.engine.word()))));
        return Ok(());
    }
    let next: Vec<Next> = resolved
        .write_refusals
        .first()
        .map(|(code, _)| Next::new(format!("mendwright explain {code}"), "what can be declared, and how"))
        .into_iter()
        .collect();
    let view = ResourceCheck {
        resolved,
        engine: target.engine.word(),
        tenant_rows: tenant.zip(report.rows),
        orphans: Some(report.orphans),
        next: &next,
    };
    let mut text = resource_check(context.out.look, &view);
    for (column, n) in &report.unreadable {
        let values = if *n == 1 { "1 stored value is".to_owned() } else { format!("{n} stored values are") };
        text.push_str(&format!("▲ {}: {values} not of its type; a job that reads one ends\n", escape(column)));
    }
    context.out.result(&format!("{text}\n"));
    Ok(())
}

/// A grant that can never be used is an error of the configuration.
fn refused_although_granted(config: &Config, resolved: &Resolved) -> Option<Problem> {
    let (code, why) = resolved.write_refusals.first()?;
    let writes = |allow: &mendwright_core::authority::Allow| !allow.operations.is_empty();
    let grant = config.grants.iter().find(|grant| grant.grant.allow.get(&resolved.name).is_some_and(writes))?;
    let code: Code = code.parse().unwrap_or(Code::SideEffect);
    let message = format!("grant `{}` lets jobs write `{}`, and they cannot: {why}", grant.name, resolved.name);
    Some(Problem::new(code, message).next(format!("mendwright explain {code}"), "what can be declared, and how"))
}

async fn list_tenants(context: &Context, config: &Config, discover: &str) -> Result<(), Problem> {
    if context.out.is_json() {
        return Ok(());
    }
    let resource = config.resource(discover).map_err(problem::diagnostic)?;
    let target = engine::target(config, &context.env, &resource.database)?;
    let all = tenants(&target, resource, &config.resources).await.map_err(|error| problem::gateway(&error))?;
    let shown: Vec<String> = all.iter().take(TENANTS_SHOWN).map(|tenant| escape(tenant)).collect();
    let more = if all.len() > TENANTS_SHOWN { ", …" } else { "" };
    context.out.result(&format!("{} tenants in {discover}: {}{more}\n", all.len(), shown.join(", ")));
    Ok(())
}

fn record<'a>(report: &'a ResourceReport, engine: &'a str) -> Checked<'a> {
    let resolved = &report.resolved;
    let columns = resolved.columns.iter().map(|(name, column)| {
        let facts = ColumnFacts {
            column: &column.column,
            kind: column.kind.to_string(),
            declared: &column.declared,
            nullable: column.nullable,
            class: column.class.word(),
            sensitive: column.sensitive,
            generated: column.generated,
            derived: column.derived.as_deref(),
        };
        (name.as_str(), facts)
    });
    let effects = resolved.side_effects.iter().map(|effect| EffectFacts {
        what: &effect.what,
        name: &effect.name,
        declared: effect.declared.as_deref(),
        blocks_writes: effect.blocks_writes,
    });
    Checked {
        format_version: FORMAT_VERSION,
        engine,
        path: &report.path,
        rows: report.rows,
        orphans: report.orphans,
        unreadable: &report.unreadable,
        facts: Facts {
            resource: &resolved.name,
            database: &resolved.database,
            schema: resolved.schema.as_deref(),
            table: &resolved.table,
            class: resolved.class.word(),
            key: &resolved.key,
            columns: columns.collect(),
            side_effects: effects.collect(),
            write_refusals: &resolved.write_refusals,
            delete_refusals: &resolved.delete_refusals,
        },
    }
}
