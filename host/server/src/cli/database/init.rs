//! `mendwright database init NAME`: what Mendwright needs in a target, printed or created.

use std::collections::BTreeMap;

use mendwright_core::authority::Allow;
use mendwright_core::code::Code;
use mendwright_core::id::Id;
use mendwright_gateway::adapters::sql::install::{
    BoundTable, Init, Initialized, ROLE_REPAIR, bound_tables, check_read_url, init,
};
use mendwright_gateway::adapters::sql::report::check_resource;
use mendwright_gateway::init_sql;
use mendwright_gateway::{Engine, Target};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::{Done, problem};
use crate::config::Config;
use crate::engine;
use crate::engine::time::now_us;
use crate::view::Next;
use crate::view::problem::{Exit, Problem};

/// Create Mendwright's own tables, the target's identity and the least-privilege roles.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which [database.NAME].
    name: String,
    /// Print the SQL and create nothing.
    #[arg(long)]
    print_sql: bool,
    /// SQLite: switch the file to WAL mode, so that dry runs read it while the application writes.
    #[arg(long)]
    wal: bool,
    /// PostgreSQL: the role to create for repairs, and to grant what the configuration's grants need.
    #[arg(long, value_name = "ROLE", default_value = ROLE_REPAIR, conflicts_with = "no_role")]
    role: String,
    /// PostgreSQL: leave roles alone.
    #[arg(long)]
    no_role: bool,
}

#[derive(Serialize)]
struct Prepared<'a> {
    format_version: &'static str,
    database: &'a str,
    engine: &'static str,
    identity: &'a str,
    created: bool,
    journal_mode: Option<&'a str>,
    warnings: &'a [String],
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let target = engine::target(&config, &context.env, &args.name)?;
    let role = (!args.no_role && target.engine == Engine::Postgres).then(|| args.role.clone());
    let tables = tables(context, &config, &target, args.print_sql).await?;
    if args.print_sql {
        context.out.result(&init_sql(target.engine, &target.schema, role.as_deref(), &tables));
        return Ok(Exit::Done);
    }
    let progress = Progress::begin(&context.out, format!("preparing {}", args.name));
    let options = Init { switch_to_wal: args.wal, identity: identity()?, role, tables };
    let done = init(&target, &options).await.map_err(|error| {
        let print = format!("mendwright database init {} --print-sql", args.name);
        problem::gateway(&error).next(print, "the SQL, for somebody who may run it")
    })?;
    let readable = check_read_url(&target, &options.tables).await;
    drop(progress);
    show(context, &args, target.engine, &done);
    // The tables are there all the same: what remains to be done is said last.
    readable.map_err(|error| {
        problem::gateway(&error)
            .detail("the database is prepared; what is missing is a `read_url` whose role can read and not write")
            .next(
                format!("mendwright database init {} --print-sql", args.name),
                "the roles, and how one of them logs in",
            )
    })?;
    Ok(Exit::Done)
}

/// A new identity; one that the target already has stays.
fn identity() -> Result<Id<mendwright_core::id::Target>, Problem> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)
        .map_err(|error| Problem::new(Code::Io, format!("there are no random numbers: {error}")))?;
    Ok(Id::from_time(u64::try_from(now_us() / 1_000).unwrap_or(0), random))
}

/// What the grants of the configuration need of this database's tables.
async fn tables(
    context: &Context,
    config: &Config,
    target: &Target,
    only_print: bool,
) -> Result<Vec<BoundTable>, Problem> {
    // SQLite has no roles that something could be granted to.
    if target.engine == Engine::Sqlite {
        return Ok(Vec::new());
    }
    // The role of `read_url` may not be there yet: making it is what this is for.
    let target = &target.clone().with_read_url(None);
    let mut resolved = Vec::new();
    for resource in config.resources.values().filter(|resource| resource.database == target.name) {
        match check_resource(target, resource, &config.resources, None).await {
            Ok(report) => resolved.push(report.resolved),
            Err(error @ mendwright_gateway::Error::Unavailable { .. }) if !only_print => {
                return Err(problem::gateway(&error));
            }
            Err(error) => context.out.note(&format!("`{}` is left out of the grants: {error}", resource.name)),
        }
    }
    Ok(bound_tables(&resolved, &allowed(config)))
}

/// What all grants together allow on each resource.
fn allowed(config: &Config) -> BTreeMap<String, Allow> {
    let mut all: BTreeMap<String, Allow> = BTreeMap::new();
    for (name, allow) in config.grants.iter().flat_map(|grant| &grant.grant.allow) {
        let merged = all.entry(name.clone()).or_insert_with(|| Allow {
            read: Default::default(),
            write: Default::default(),
            operations: Default::default(),
        });
        merged.read.extend(allow.read.iter().cloned());
        merged.write.extend(allow.write.iter().cloned());
        merged.operations.extend(allow.operations.iter().copied());
    }
    all
}

fn show(context: &Context, args: &Args, engine: Engine, done: &Initialized) {
    let name = &args.name;
    if context.out.is_json() {
        context.out.json(&Prepared {
            format_version: FORMAT_VERSION,
            database: name,
            engine: engine.word(),
            identity: &done.identity.identity,
            created: done.created,
            journal_mode: done.journal_mode.as_deref(),
            warnings: &done.warnings,
        });
        return;
    }
    let how = if done.created { "is prepared" } else { "was prepared before; nothing is lost" };
    let mut text = format!("{name} ({}) {how}.\n  identity     {}\n", engine.word(), done.identity.identity);
    if let Some(mode) = &done.journal_mode {
        text.push_str(&format!("  journal mode {mode}\n"));
    }
    for warning in &done.warnings {
        text.push_str(&format!("  ▲ {}\n", mendwright_core::text::escape(warning)));
    }
    context.out.result(&text);
    context.out.next(&[Next::new("mendwright resource check", "how the tables are bound, and what is refused")]);
}
